//! The frame of server-sent events (WHATWG HTML, 9.2.6), as far as our daemon uses it: blocks that end with an empty
//! line, of whose lines those that begin with `data:` count. However the octets are cut, the blocks are the same.

use std::collections::VecDeque;

/// The longest line and the longest block that are taken.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// A block that is too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {BLOCK_BYTES_MAX} bytes")]
pub(super) struct TooLong;

/// From octets to the data of blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    line: Vec<u8>,
    data: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
}

impl Blocks {
    /// Takes what came.
    pub(super) fn push(&mut self, octets: &[u8]) -> Result<(), TooLong> {
        let mut lines = octets.split(|octet| *octet == b'\n');
        // `split` gives one piece more than there are line ends.
        let mut piece = lines.next().unwrap_or_default();
        for next in lines {
            self.line.extend_from_slice(piece);
            self.end_line();
            piece = next;
        }
        self.line.extend_from_slice(piece);
        if self.line.len() + self.data.len() > BLOCK_BYTES_MAX {
            return Err(TooLong);
        }
        Ok(())
    }

    /// The data of the next whole block.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.whole.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            self.end_block();
        } else if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data);
        }
    }

    /// A block without data (a comment that keeps the connection awake) is nothing.
    fn end_block(&mut self) {
        if !self.data.is_empty() {
            self.whole.push_back(std::mem::take(&mut self.data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b":\n\nid: 7\ndata: {\"a\":1}\n\n: still here\n\nretry: 5\r\ndata:one\r\ndata: two\r\n\r\ndata: cut";

    fn read(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut blocks = Blocks::default();
        for piece in pieces {
            blocks.push(piece).unwrap();
        }
        std::iter::from_fn(|| blocks.next()).collect()
    }

    #[test]
    fn only_the_data_of_whole_blocks_counts() {
        let expected: [&[u8]; 2] = [b"{\"a\":1}", b"one\ntwo"];
        assert_eq!(read(&[STREAM]), expected);
    }

    #[test]
    fn however_the_octets_are_cut() {
        let whole = read(&[STREAM]);
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(read(&pieces), whole, "cut at {first} and {second}");
            }
        }
        let octets: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(read(&octets), whole);
    }

    #[test]
    fn a_block_without_an_end_is_not_collected_for_ever() {
        let mut blocks = Blocks::default();
        let line = [b'x'; 64 * 1024];
        let taken = (0..100)
            .take_while(|_| blocks.push(&line) == Ok(()))
            .count();
        assert_eq!(taken, BLOCK_BYTES_MAX / line.len());
        let mut blocks = Blocks::default();
        let taken = (0..2_000_000)
            .take_while(|_| blocks.push(b"data: y\n") == Ok(()))
            .count();
        assert!(taken < BLOCK_BYTES_MAX, "{taken} lines were kept");
    }
}
