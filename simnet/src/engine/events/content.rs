//! What messages carry in this engine: the content in a few bytes, in a body that stands for one of the real length.

use sxlab_protocol::agent::{
    Address, CallNo, ContactNo, Content, Customer, GroupNo, Grouped, Rotation, RouterNo, Signal,
};
use sxlab_protocol::smp::envelope::{CONFIRMATION_SIZE, MESSAGE_SIZE};
use sxlab_protocol::smp::semantic::{stand_in, stands_for};
use sxlab_protocol::wire::EntityId;

/// An envelope around its box: version, the mark of a key, nonce, tag.
const ENVELOPE: usize = 2 + 1 + 24 + 16;

/// The sender's key with its length.
const KEY: usize = 1 + 44;

/// The body of the SEND that carries a content.
pub(super) fn seal(content: &Content) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    match content {
        Content::Join(address) => {
            bytes.push(b'J');
            bytes.extend_from_slice(&address.router.0.to_be_bytes());
            bytes.extend_from_slice(address.sender.as_bytes());
        }
        Content::Customer(who) => {
            bytes.push(b'B');
            for number in [who.group.0, who.contact.0, who.address.router.0] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.extend_from_slice(who.address.sender.as_bytes());
        }
        Content::Accept => bytes.push(b'A'),
        Content::Message { number, length } => {
            bytes.push(b'M');
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        Content::Call { number, call, what } => {
            let (tag, begun) = what.parts();
            bytes.extend_from_slice(&[b'K', tag]);
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&call.0.to_be_bytes());
            bytes.extend_from_slice(&begun.to_be_bytes());
        }
        Content::Receipt(number) => {
            bytes.push(b'R');
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Content::Continue => bytes.push(b'C'),
        Content::Rotation(what) => {
            let (tag, number, address) = what.parts();
            bytes.extend_from_slice(&[b'Q', tag]);
            for number in [Some(number), address.map(|address| address.router.0)].into_iter().flatten() {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.extend_from_slice(address.map_or(&[], |address| address.sender.as_bytes()));
        }
        Content::Group(what) => {
            let (tag, numbers, address) = what.parts();
            bytes.extend_from_slice(&[b'G', tag]);
            for number in numbers.into_iter().chain(address.map(|address| address.router.0)) {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.extend_from_slice(address.map_or(&[], |address| address.sender.as_bytes()));
        }
    }
    let length =
        if content.is_confirmation() { ENVELOPE + KEY + CONFIRMATION_SIZE } else { ENVELOPE + MESSAGE_SIZE };
    stand_in(u32::try_from(length).unwrap_or(u32::MAX), &bytes)
}

/// What a delivered body carries; `Some(None)` for the marker of a full queue.
pub(super) fn open(body: &[u8]) -> Option<Option<Content>> {
    if body.is_empty() {
        return Some(None);
    }
    let (_, content) = stands_for(body)?;
    let (kind, rest) = content.split_first()?;
    let number = |at: usize| {
        let bytes = rest.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    };
    Some(Some(match kind {
        b'J' => Content::Join(Address {
            router: RouterNo(number(0)?),
            sender: EntityId::new(rest.get(4..)?).ok()?,
        }),
        b'B' => Content::Customer(Box::new(Customer {
            group: GroupNo(number(0)?),
            contact: ContactNo(number(4)?),
            address: Address { router: RouterNo(number(8)?), sender: EntityId::new(rest.get(12..)?).ok()? },
        })),
        b'A' => Content::Accept,
        b'M' => Content::Message { number: number(0)?, length: number(4)? },
        b'K' => {
            let begun = u64::from(number(9)?) << 32 | u64::from(number(13)?);
            let what = Signal::of_parts(*rest.first()?, begun)?;
            Content::Call { number: number(1)?, call: CallNo(number(5)?), what }
        }
        b'R' => Content::Receipt(number(0)?),
        b'C' => Content::Continue,
        b'Q' => {
            let tag = *rest.first()?;
            let address = match Rotation::has_address(tag) {
                true => Some(Address {
                    router: RouterNo(number(5)?),
                    sender: EntityId::new(rest.get(9..)?).ok()?,
                }),
                false => None,
            };
            Content::Rotation(Box::new(Rotation::of_parts(tag, number(1)?, address)?))
        }
        b'G' => {
            let tag = *rest.first()?;
            let address = match Grouped::has_address(tag) {
                true => Some(Address {
                    router: RouterNo(number(13)?),
                    sender: EntityId::new(rest.get(17..)?).ok()?,
                }),
                false => None,
            };
            Content::Group(Box::new(Grouped::of_parts(tag, [number(1)?, number(5)?, number(9)?], address)?))
        }
        _ => return None,
    }))
}
