//! In which order a configuration was written, where its writers differ.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// Whether `ArgsEscaped` stands behind `Healthcheck` in the configuration that a document has.
pub(super) fn is_escaped_late(document: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Config {
        config: Keys,
    }
    let keys = serde_json::from_slice::<Config>(document).map_or_else(|_| Vec::new(), |config| config.config.0);
    let place = |name: &str| keys.iter().position(|key| key == name);
    place("ArgsEscaped") > place("Healthcheck")
}

/// The keys of an object, as they come.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
