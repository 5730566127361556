//! Where frames of a WebSocket begin and end (RFC 6455, 5.2): by their lengths alone, nothing in them is looked at. Only
//! between two of an app's frames may we say that it is over.

/// `Close` with the code 1001: going away (RFC 6455, 7.4.1), as a server sends it: not masked.
pub(super) const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// A head has at most so many octets: two, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;

/// What has passed in one direction.
#[derive(Default)]
pub(super) struct Frames {
    /// Of a head that is not whole yet.
    head: [u8; HEAD_MAX],
    len: usize,
    /// Octets of the frame that are still to come.
    left: u64,
    /// The app has said `Close` itself.
    closed: bool,
}

impl Frames {
    /// These have passed.
    pub(super) fn pass(&mut self, mut octets: &[u8]) {
        while let Some((first, rest)) = octets.split_first() {
            if self.left > 0 {
                let skip = usize::try_from(self.left).unwrap_or(usize::MAX);
                let skip = skip.min(octets.len());
                self.left -= skip as u64;
                octets = &octets[skip..];
                continue;
            }
            self.head[self.len] = *first;
            self.len += 1;
            octets = rest;
            if let Some(left) = whole(&self.head[..self.len]) {
                (self.left, self.len) = (left, 0);
                self.closed |= self.head[0] & 0x0f == 8;
            }
        }
    }

    /// Whether a frame of ours may follow.
    pub(super) fn may_say(&self) -> bool {
        self.left == 0 && self.len == 0 && !self.closed
    }
}

/// What follows a head, if it is whole. It always is with [`HEAD_MAX`] octets.
fn whole(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let (extended, short) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, u64::from(short)),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    if head.len() < 2 + extended + mask {
        return None;
    }
    let long = head[2..2 + extended].iter();
    Some(long.fold(short, |length, octet| length << 8 | u64::from(*octet)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Vec<u8> {
        let mut frame = match len {
            0..126 => vec![0x82, len as u8],
            126..65_536 => vec![0x82, 126, (len >> 8) as u8, len as u8],
            _ => [&[0x82, 127][..], &(len as u64).to_be_bytes()].concat(),
        };
        frame.extend(std::iter::repeat_n(b'x', len));
        frame
    }

    #[test]
    fn only_between_frames_may_one_follow() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let frame = frame(len);
            for step in [1, 3, 7, 1_000_000] {
                let mut frames = Frames::default();
                assert!(frames.may_say());
                let mut passed = 0;
                for part in frame.chunks(step) {
                    frames.pass(part);
                    passed += part.len();
                    assert_eq!(frames.may_say(), passed == frame.len(), "{len} {passed}");
                }
                frames.pass(&frame);
                assert!(frames.may_say());
            }
        }
    }

    #[test]
    fn after_a_close_nothing_follows() {
        let mut frames = Frames::default();
        frames.pass(&GOING_AWAY);
        assert!(!frames.may_say());
    }

    #[test]
    fn octets_that_are_no_frames_do_no_harm() {
        let mut frames = Frames::default();
        for octet in 0..=255 {
            frames.pass(&[octet; 300]);
        }
        frames.pass(&[0xff; 5_000]);
    }
}
