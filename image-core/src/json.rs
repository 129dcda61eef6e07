//! JSON as the specifications want it read, and as Go's tools write it.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashSet, btree_map},
    fmt, io,
    iter::Peekable,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::ser::{CompactFormatter, Formatter};

/// Reads one document: one value and nothing after it, no key twice, at most 128 levels deep and
/// of at most 400,000 values.
///
/// # Spec
/// OCI image-spec 1.1, considerations.md, § JSON; RFC 7493 (I-JSON), section 2.3.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    UniqueKeys { left: &Cell::new(MAX_VALUES) }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    serde_json::from_slice(bytes)
}

/// Writes a document as Go's `encoding/json` does: compact, fields in their order, and
/// `<`, `>`, `&`, U+2028 and U+2029 escaped, so that equal values have equal digests.
pub(crate) fn to_vec<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, GoFormatter))?;
    Ok(out)
}

/// Writes the fields of an object in the order of their keys, with those that have no name here among them.
pub(crate) struct SortedFields<'a, M> {
    map: M,
    extra: Peekable<btree_map::Iter<'a, String, serde_json::Value>>,
}

impl<'a, M: SerializeMap> SortedFields<'a, M> {
    pub(crate) fn new(map: M, extra: &'a BTreeMap<String, serde_json::Value>) -> Self {
        Self { map, extra: extra.iter().peekable() }
    }

    /// Writes a field; its key is greater than those before.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), M::Error> {
        while let Some((key, value)) = self.extra.next_if(|(extra, _)| extra.as_str() < key) {
            self.map.serialize_entry(key, value)?;
        }
        self.map.serialize_entry(key, value)
    }

    /// Writes a field if it is there.
    pub(crate) fn put_some<T: Serialize>(&mut self, key: &str, value: Option<&T>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(key, value))
    }

    pub(crate) fn end(mut self) -> Result<M::Ok, M::Error> {
        for (key, value) in self.extra {
            self.map.serialize_entry(key, value)?;
        }
        self.map.end()
    }
}

/// Reads a null as the empty list, map or string that it stands for.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads words: a list, or one word without a list around it, as Docker's first versions wrote commands.
pub(crate) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of strings, or one string")]
    enum Words {
        One(String),
        Several(Vec<String>),
    }
    Ok(Option::deserialize(deserializer)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Several(words) => words,
    }))
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, plain)?;
            let mut chars = special.chars();
            if let Some(c) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// The most values that a document may have, those in lists and objects among them.
///
/// In memory a value may take a hundred times the two bytes that it takes in a document; and an index of 8 MiB whose
/// entries say what entries say has fewer.
const MAX_VALUES: u32 = 400_000;

/// Any JSON value in which no object has a key twice, and how many more values there may be.
#[derive(Clone, Copy)]
struct UniqueKeys<'a> {
    left: &'a Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(de::Error::custom(format_args!("more than {MAX_VALUES} values")));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value_seed(self)?;
            if let Some(key) = seen.replace(key) {
                return Err(de::Error::custom(format_args!(
                    "key {:?} twice in one object",
                    crate::error::excerpt(&key)
                )));
            }
        }
        Ok(())
    }
}
