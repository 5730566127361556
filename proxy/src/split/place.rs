//! Where a client stands among all: a well mixed hash of what it is known by and of who draws, in millionths.

/// Whose draw it is: another one puts the same clients into other places, independently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

/// Places there are.
const PLACES: u64 = 1_000_000;
/// The draw of slots in bitmaps of clients: independent of every key, and so of who gets which arm.
const SLOTS: Key = Key(0x9e37_79b9_7f4a_7c15);

impl Key {
    /// FNV-1a of the text, mixed.
    pub(crate) fn of(text: &str) -> Self {
        let fnv = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        Self(mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv)))
    }

    /// Where it puts this client, in millionths of all.
    pub(crate) fn place(self, unit: u64) -> u32 {
        let place = u128::from(self.hash(unit)) * u128::from(PLACES);
        (place >> 64) as u32
    }

    /// Mixed before and behind: units that differ in one bit, and keys that do, have nothing in common.
    fn hash(self, unit: u64) -> u64 {
        mix(mix(unit) ^ self.0)
    }
}

/// A slot of 2^`bits`, the same for each arm.
pub(crate) fn slot(unit: u64, bits: u32) -> usize {
    (SLOTS.hash(unit) >> (u64::BITS - bits)) as usize
}

/// A client that is known by an address.
pub(crate) fn unit_of(address: u128) -> u64 {
    mix((address >> 64) as u64) ^ address as u64
}

/// splitmix64's last steps (Stafford's variant 13): each bit of what goes in turns each that comes out with probability
/// one half.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const CLIENTS: u64 = 100_000;

    /// How far from even these counts are; about the number of counts less one if they are even, give or take four times
    /// the root of twice that.
    fn chi_square(counts: &[u64]) -> f64 {
        let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        let off = |count: &u64| (*count as f64 - expected).powi(2) / expected;
        counts.iter().map(off).sum()
    }

    fn assert_even(counts: &[u64], what: &str) {
        let (chi, free) = (chi_square(counts), (counts.len() - 1) as f64);
        let most = free + 4.0 * (2.0 * free).sqrt();
        assert!(chi < most, "{what}: {chi:.1}, at most {most:.1}");
    }

    /// One behind the other, as addresses, and as cookies are.
    fn kinds() -> [(&'static str, Vec<u64>); 3] {
        let mut dice = fastrand::Rng::with_seed(7);
        let address = |n: u64| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n as u32));
        let bits = |address| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        [
            ("in a row", (0..CLIENTS).collect()),
            (
                "addresses",
                (0..CLIENTS).map(|n| unit_of(bits(address(n)))).collect(),
            ),
            ("cookies", (0..CLIENTS).map(|_| dice.u64(..)).collect()),
        ]
    }

    #[test]
    fn places_are_even_whatever_clients_are_known_by() {
        for (kind, units) in kinds() {
            for key in ["", "preview", "01KAQ0000000000000000000A1"] {
                let mut counts = [0; 100];
                for unit in &units {
                    counts[Key::of(key).place(*unit) as usize / 10_000] += 1;
                }
                assert_even(&counts, &format!("{kind}, {key:?}"));
            }
        }
    }

    #[test]
    fn two_keys_have_nothing_to_do_with_each_other_nor_with_slots() {
        let (one, other) = (
            Key::of("01KAQ0000000000000000000A1"),
            Key::of("01KAQ0000000000000000000A2"),
        );
        let tenth = |key: Key, unit| key.place(unit) as usize / 100_000;
        for (kind, units) in kinds() {
            let (mut keys, mut slots) = ([0; 100], [0; 80]);
            for unit in units {
                keys[tenth(one, unit) * 10 + tenth(other, unit)] += 1;
                slots[tenth(one, unit) * 8 + slot(unit, 3)] += 1;
            }
            assert_even(&keys, &format!("{kind}: keys"));
            assert_even(&slots, &format!("{kind}: slots"));
        }
    }

    #[test]
    fn ipv6_networks_differ_in_their_upper_half() {
        let unit = |net: u128| unit_of(net << 64);
        let mut counts = [0; 64];
        (0..CLIENTS).for_each(|net| counts[slot(unit(u128::from(net)), 6)] += 1);
        assert_even(&counts, "networks");
    }
}
