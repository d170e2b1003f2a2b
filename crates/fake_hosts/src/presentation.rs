//! Names and data in the form of zone files (RFC 1035 §5.1), read strictly: texts in quotation marks, names in full and with
//! their final dot.

use model::{Caa, DomainName, RecordData, Srv, TxtData};

/// A name with its final dot.
pub fn absolute(text: &str) -> Option<DomainName> {
    if text == "." {
        return Some(DomainName::root());
    }
    text.strip_suffix('.').and_then(|text| DomainName::parse(text).ok())
}

/// Record data. `None` for what is damaged, and for types that no fake has.
pub fn parse(kind: &str, text: &str) -> Option<RecordData> {
    let mut words = text.split(' ');
    let data = match kind {
        "TXT" => return strings(text).map(RecordData::Txt),
        "CAA" => return Caa::parse(text).map(|caa| caa.to_data()),
        "A" => RecordData::A(words.next()?.parse().ok()?),
        "AAAA" => RecordData::Aaaa(words.next()?.parse().ok()?),
        "CNAME" => RecordData::Cname(absolute(words.next()?)?),
        "NS" => RecordData::Ns(absolute(words.next()?)?),
        "PTR" => RecordData::Ptr(absolute(words.next()?)?),
        "MX" => {
            RecordData::Mx { preference: words.next()?.parse().ok()?, exchange: absolute(words.next()?)? }
        }
        "SRV" => {
            let mut number = || words.next()?.parse().ok();
            let (priority, weight, port) = (number()?, number()?, number()?);
            Srv { priority, weight, port, target: absolute(words.next()?)? }.to_data()
        }
        _ => return None,
    };
    words.next().is_none().then_some(data)
}

/// Record data as it stands behind the type.
pub fn render(data: &RecordData) -> String {
    let dotted = |name: &DomainName| if name.is_root() { ".".to_owned() } else { name.absolute() };
    match data {
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => dotted(name),
        RecordData::Mx { preference, exchange } => format!("{preference} {}", dotted(exchange)),
        RecordData::Txt(text) => quoted(text),
        data @ RecordData::Other { .. } => match (Srv::from_data(data), Caa::from_data(data)) {
            (Some(Srv { priority, weight, port, target }), _) => {
                format!("{priority} {weight} {port} {}", dotted(&target))
            }
            (_, Some(caa)) => caa.to_string(),
            _ => data.to_string(),
        },
        data => data.to_string(),
    }
}

/// The strings of a text, each in quotation marks, with spaces between them.
pub fn strings(content: &str) -> Option<TxtData> {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let mut octets = content.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b' ' => {}
            b'"' => {
                let mut string = Vec::new();
                loop {
                    match octets.next()? {
                        b'"' => break,
                        b'\\' => match octets.next()? {
                            first @ b'0'..=b'9' => {
                                let digits = [first, octets.next()?, octets.next()?];
                                string.push(std::str::from_utf8(&digits).ok()?.parse().ok()?);
                            }
                            other => string.push(other),
                        },
                        other => string.push(other),
                    }
                }
                if string.len() > 255 {
                    return None;
                }
                strings.push(string);
            }
            _ => return None,
        }
    }
    (!strings.is_empty()).then(|| TxtData::from_strings(&strings))
}

/// The strings of a text in quotation marks, what is not printable ASCII in three decimal digits.
pub fn quoted(text: &TxtData) -> String {
    let string = |string: &[u8]| {
        let escaped: String = string
            .iter()
            .map(|&octet| match octet {
                b'"' | b'\\' => format!("\\{}", char::from(octet)),
                b' '..=b'~' => char::from(octet).to_string(),
                _ => format!("\\{octet:03}"),
            })
            .collect();
        format!("\"{escaped}\"")
    };
    text.strings().map(string).collect::<Vec<_>>().join(" ")
}
