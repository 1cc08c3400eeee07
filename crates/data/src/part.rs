//! `data.train` and `data.valid`: which images make up a part.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which images make up a part: a number of them, or a range of the official order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A number of images, from the start (training) or the end (validation).
    Count(usize),
    /// A range that excludes its end.
    Range([usize; 2]),
    /// The set's own test images.
    Test,
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::Range(range) => range.serialize(serializer),
            Self::Test => serializer.serialize_str("test"),
        }
    }
}

impl JsonSchema for Part {
    fn schema_name() -> Cow<'static, str> {
        "Part".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "number, [first, end] or \"test\"" })
    }
}

// implemented by hand, since serde's `untagged` loses the position of an error
impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of images, a range [first, end] or \"test\"")
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Part, E> {
                usize::try_from(n).map(Part::Count).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Part, E> {
                usize::try_from(n).map(Part::Count).map_err(|_| E::custom("expected at least 0"))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Part, E> {
                match text {
                    "test" => Ok(Part::Test),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
                let mut next = |index| {
                    let end = serde::de::Error::invalid_length(index, &"[first, end]");
                    seq.next_element::<usize>()?.ok_or(end)
                };
                let range = [next(0)?, next(1)?];
                match seq.next_element::<usize>()? {
                    None => Ok(Part::Range(range)),
                    Some(_) => Err(serde::de::Error::invalid_length(3, &"[first, end]")),
                }
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}
