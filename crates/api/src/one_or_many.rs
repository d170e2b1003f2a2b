//! Shapes of JSON that requests may have and that errors should speak of by name.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// One text, or a list of texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(vec![text.to_owned()])
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(texts)
            }
        }
        deserializer.deserialize_any(Reader).map(Self)
    }
}

/// A list of objects. Serde takes an array for an object too; here it is refused.
#[derive(Debug)]
pub struct Objects<T>(pub Vec<T>);

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Objects<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let objects = Vec::<Object<T>>::deserialize(deserializer)?;
        Ok(Self(objects.into_iter().map(|Object(object)| object).collect()))
    }
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }
        deserializer.deserialize_map(Reader(PhantomData)).map(Self)
    }
}

/// Header fields as a JSON object, in the order in which they were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HeaderFields(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for HeaderFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header fields, name to text")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = entries.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(Reader).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_a_list_of_one() {
        let read = |text| serde_json::from_str::<OneOrMany>(text).map(|OneOrMany(list)| list);
        assert_eq!(read("\"a\"").unwrap(), ["a"]);
        assert_eq!(read("[\"a\",\"b\"]").unwrap(), ["a", "b"]);
        assert_eq!(read("null").unwrap(), Vec::<String>::new());
        assert!(read("[1]").is_err());
        assert!(read("1").unwrap_err().to_string().contains("an address or a list of addresses"));
    }

    #[test]
    fn an_object_in_a_list_is_no_array() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sample {
            name: String,
        }
        let read = |text| serde_json::from_str::<Objects<Sample>>(text).map(|Objects(list)| list);
        assert_eq!(read(r#"[{"name":"a"}]"#).unwrap()[0].name, "a");
        assert!(read(r#"[["a"]]"#).unwrap_err().to_string().contains("expected an object"));
        assert!(read(r#"[{"nmae":"a"}]"#).unwrap_err().to_string().contains("unknown field"));
    }

    #[test]
    fn header_fields_keep_their_order() {
        let read = |text| serde_json::from_str::<HeaderFields>(text).map(|HeaderFields(list)| list);
        assert_eq!(read(r#"{"B":"1","A":"2"}"#).unwrap()[0].0, "B");
        assert!(read(r#"{"B":1}"#).is_err());
        assert!(read("[]").is_err());
    }
}
