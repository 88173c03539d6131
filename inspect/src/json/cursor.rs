//! A position in a JSON text.

use super::{Error, Text};

/// `NaN` and `Infinity` are no JSON, but CPython reads them.
const NAMES: [&[u8]; 5] = [b"true", b"false", b"null", b"NaN", b"Infinity"];

#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Result<u8, Error> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Error::End)
    }

    pub(crate) fn bump(&mut self) {
        self.at += 1;
    }

    /// Whether only white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek().is_err()
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.peek()? != byte {
            return Err(Error::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string, from its opening quote.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Error> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).ok_or(Error::End)?;
            // Keys and most values are short: a byte loop beats a call into the vector search for them.
            let near = rest.iter().take(24).position(|&b| b == b'"' || b == b'\\');
            let found = match near {
                Some(found) => found,
                None if rest.len() <= 24 => return Err(Error::End),
                None => 24 + memchr::memchr2(b'"', b'\\', &rest[24..]).ok_or(Error::End)?,
            };
            self.at += found;
            if rest[found] == b'"' {
                let raw = &self.bytes[start..self.at];
                self.at += 1;
                return Ok(Text { raw, escaped });
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// Reads a number or a name (`true`, `null`, `NaN`).
    pub(crate) fn scalar(&mut self) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
            .unwrap_or(rest.len());
        let token = &rest[..length];
        let known = match token.first() {
            None => false,
            Some(b'0'..=b'9') => true,
            Some(b'-') => token.len() > 1,
            Some(_) => NAMES.contains(&token),
        };
        if known {
            self.at += length;
            return Ok(token);
        }
        let cut = token == b"-" || NAMES.iter().any(|name| name.starts_with(token));
        Err(if length == rest.len() && cut { Error::End } else { Error::Syntax })
    }

    /// Skips one value of any kind and depth; the stack is one bit per open bracket.
    pub(crate) fn skip_value(&mut self) -> Result<(), Error> {
        let mut open = BitStack::default();
        loop {
            match self.peek()? {
                b'{' => {
                    self.bump();
                    if self.peek()? == b'}' {
                        self.bump();
                    } else {
                        open.push(true);
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.bump();
                    if self.peek()? == b']' {
                        self.bump();
                    } else {
                        open.push(false);
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                _ => drop(self.scalar()?),
            }
            // A value has ended: close what ends here, or go on to the next member or element.
            loop {
                let Some(object) = open.top() else { return Ok(()) };
                match (self.peek()?, object) {
                    (b',', true) => {
                        self.bump();
                        self.key()?;
                        break;
                    }
                    (b',', false) => {
                        self.bump();
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.bump();
                        open.pop();
                    }
                    _ => return Err(Error::Syntax),
                }
            }
        }
    }

    /// A member's name and its colon.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Error> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }
}

/// One bit per level: 1 for an object, 0 for an array.
#[derive(Debug, Default)]
pub(crate) struct BitStack {
    words: Vec<u64>,
    word: u64,
    depth: usize,
}

impl BitStack {
    pub(crate) fn push(&mut self, bit: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.words.push(self.word);
            self.word = 0;
        }
        self.word = self.word << 1 | u64::from(bit);
        self.depth += 1;
    }

    pub(crate) fn pop(&mut self) {
        self.depth -= 1;
        self.word >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.word = self.words.pop().unwrap_or_default();
        }
    }

    pub(crate) fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.word & 1 == 1)
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<usize, Error> {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.skip_value().map(|()| cursor.at())
    }

    #[test]
    fn skips_any_value() {
        for text in [
            r#"{"a":[1,{"b":"]}\""},[],{}],"c":null}"#,
            r#""a very long string that is longer than the loop \" and has a quote""#,
            "-1.5e+10",
            "[NaN, Infinity, true]",
            r#"{ "a" : 1 , "b" : [ ] }"#,
        ] {
            assert_eq!(skip(text), Ok(text.len()), "{text}");
            for cut in 1..text.len() {
                assert_ne!(skip(&text[..cut]), Err(Error::Syntax), "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn refuses_broken_structure() {
        for text in ["{a:1}", "[1 2]", "[1,]", "{\"a\" 1}", "{\"a\":1,}", "[}", "hello", "{\"a\":1]"] {
            assert_eq!(skip(text), Err(Error::Syntax), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = 1_000_000;
        let text = "[".repeat(deep) + &"]".repeat(deep);
        assert_eq!(skip(&text), Ok(text.len()));
        let mixed = r#"{"a":["#.repeat(100) + "1" + &"]}".repeat(100);
        assert_eq!(skip(&mixed), Ok(mixed.len()));
    }
}
