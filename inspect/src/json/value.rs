//! One value, looked into one level at a time.

use super::{Error, Text, cursor::Cursor};

/// The bytes of one JSON value. Not necessarily well formed inside; reading it says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl<'a> Value<'a> {
    fn first(self) -> Option<u8> {
        Cursor::new(self.0).peek().ok()
    }

    pub(crate) fn is_object(self) -> bool {
        self.first() == Some(b'{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.first() == Some(b'[')
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self.first(), Some(b'-' | b'0'..=b'9'))
    }

    /// The string this value is.
    pub(crate) fn text(self) -> Option<Text<'a>> {
        Cursor::new(self.0).string().ok()
    }

    /// Owned copy of the string this value is.
    pub(crate) fn string(self) -> Option<String> {
        Some(self.text()?.to_str().into_owned())
    }

    /// Members of an object; nothing for any other value.
    pub(crate) fn members(self) -> Members<'a> {
        Members { bytes: self.0, cursor: Cursor::new(self.0), state: State::Start, partial: false }
    }

    /// Elements of an array; nothing for any other value.
    pub(crate) fn elements(self) -> Elements<'a> {
        Elements { bytes: self.0, cursor: Cursor::new(self.0), state: State::Start }
    }

    /// The last member of this name, as parsers that keep the last one see it.
    pub(crate) fn get(self, name: &str) -> Option<Value<'a>> {
        self.members().map_while(Result::ok).filter(|(key, _)| key.is(name)).last().map(|(_, value)| value)
    }

    /// The last members of these names, in one pass.
    pub(crate) fn get_all<const N: usize>(self, names: [&str; N]) -> [Option<Value<'a>>; N] {
        let mut found = [None; N];
        for (key, value) in self.members().map_while(Result::ok) {
            if let Some(index) = names.iter().position(|name| key.is(name)) {
                found[index] = Some(value);
            }
        }
        found
    }
}

#[derive(Debug, PartialEq)]
enum State {
    Start,
    Inside,
    Done,
}

/// Iterator over the members of an object. Ends after the first error.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    bytes: &'a [u8],
    cursor: Cursor<'a>,
    state: State,
    partial: bool,
}

impl<'a> Members<'a> {
    /// Also gives the last member when its value is cut by the end of the text.
    pub(crate) fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// After the last member: whether nothing but white space follows the object.
    pub(crate) fn at_end(&mut self) -> bool {
        self.cursor.at_end()
    }

    fn step(&mut self) -> Result<Option<(Text<'a>, Value<'a>)>, Error> {
        if !open(&mut self.cursor, &self.state, b'{', b'}')? {
            return Ok(None);
        }
        self.state = State::Inside;
        let key = self.cursor.key()?;
        self.cursor.peek()?;
        let start = self.cursor.at();
        match value(self.bytes, &mut self.cursor) {
            Err(Error::End) if self.partial => {
                self.state = State::Done;
                Ok(Some((key, Value(&self.bytes[start..]))))
            }
            other => other.map(|value| Some((key, value))),
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(Text<'a>, Value<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let item = self.step().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Done;
        }
        item
    }
}

/// Iterator over the elements of an array. Ends after the first error.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    cursor: Cursor<'a>,
    state: State,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Value<'a>>, Error> {
        if !open(&mut self.cursor, &self.state, b'[', b']')? {
            return Ok(None);
        }
        self.state = State::Inside;
        value(self.bytes, &mut self.cursor).map(Some)
    }

    /// After the last element: whether nothing but white space follows the array.
    pub(crate) fn at_end(&mut self) -> bool {
        self.cursor.at_end()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Value<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let item = self.step().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Done;
        }
        item
    }
}

/// Moves past the opening bracket or the comma; false at the closing bracket.
fn open(cursor: &mut Cursor<'_>, state: &State, opening: u8, closing: u8) -> Result<bool, Error> {
    if *state == State::Start {
        cursor.expect(opening)?;
        if cursor.peek()? != closing {
            return Ok(true);
        }
    } else if cursor.peek()? == b',' {
        cursor.bump();
        return Ok(true);
    }
    cursor.expect(closing)?;
    Ok(false)
}

fn value<'a>(bytes: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Value<'a>, Error> {
    cursor.peek()?;
    let start = cursor.at();
    match cursor.skip_value() {
        Ok(()) => Ok(Value(&bytes[start..cursor.at()])),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_member_wins() {
        let value = Value(br#" {"a":1,"\u0061":"x","b":{"a":2}} "#);
        assert_eq!(value.get("a").and_then(Value::string).as_deref(), Some("x"));
        let [b, c] = value.get_all(["b", "c"]);
        assert!(b.unwrap().is_object() && c.is_none());
    }

    #[test]
    fn elements_and_errors() {
        assert_eq!(Value(b"[1, [2], {}]").elements().filter_map(Result::ok).count(), 3);
        assert_eq!(Value(b"[]").elements().count(), 0);
        assert_eq!(Value(b"[1, x]").elements().last().unwrap().unwrap_err(), Error::Syntax);
        assert_eq!(Value(b"{\"a\":1").members().last().unwrap().unwrap_err(), Error::End);
    }
}
