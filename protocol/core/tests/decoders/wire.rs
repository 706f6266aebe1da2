//! Padding, identifiers and lengths.

use proptest::prelude::*;
use sxlab_protocol::wire::*;

use crate::values::bytes;

proptest! {
    #[test]
    fn padding(content in bytes(300), room in 0..40usize) {
        let size = content.len() + 2 + room;
        let block = pad(&content, size).unwrap();
        prop_assert_eq!(block.len(), size);
        prop_assert_eq!(unpad(&block), Ok(content.as_slice()));
        prop_assert_eq!(pad(&content, size - room - 1), Err(WireError::TooLong));
    }

    #[test]
    fn identifiers(bytes in bytes(300)) {
        match EntityId::new(&bytes) {
            Ok(id) => {
                prop_assert_eq!(id.as_bytes(), bytes.as_slice());
                prop_assert_eq!(id.is_empty(), bytes.is_empty());
            }
            Err(error) => {
                prop_assert_eq!(error, WireError::TooLong);
                prop_assert!(bytes.len() > 255);
            }
        }
    }
}

#[test]
fn lengths_that_lie() {
    assert_eq!(unpad(b"\xff\xff#"), Err(WireError::UnexpectedEnd));
    assert_eq!(unpad(b"\0"), Err(WireError::UnexpectedEnd));
    assert_eq!(unpad(b"\0\0"), Ok(&b""[..]));
    assert_eq!(Reader::new(b"\x05abc").short(), Err(WireError::UnexpectedEnd));
    assert_eq!(Reader::new(b"\0").list(|r| r.u8()), Err(WireError::BadLength));
    assert_eq!(Reader::new(b"\xff").list(|r| r.u8()), Err(WireError::UnexpectedEnd));
    assert_eq!(Reader::new(b"\0").opt(|r| r.u8()), Err(WireError::BadTag));
    assert_eq!(Reader::new(b"t").bool(), Err(WireError::BadTag));
    assert_eq!(VersionRange::read(&mut Reader::new(b"\0\x14\0\x06")), Err(WireError::BadVersion));
    assert_eq!(pad(&[0; 65534], 70000), Err(WireError::TooLong));
    assert!(pad(&[0; 65533], 70000).is_ok());
}
