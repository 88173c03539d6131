//! Shapes without values.

/// Longest shape.
const LONGEST: usize = 80;

/// Keeps the first `head` and the last `tail` letters and digits, and all separators; stars for the rest. Never keeps
/// more than half of the rest at the tail, so that short values do not show through.
pub(crate) fn mask(bytes: &[u8], head: usize, tail: usize) -> String {
    let total = bytes.iter().filter(|b| b.is_ascii_alphanumeric()).count();
    let tail = tail.min((total - head.min(total)) / 2);
    let mut seen = 0;
    let shape: String = bytes
        .iter()
        .map(|&b| {
            if !b.is_ascii_alphanumeric() {
                return if b.is_ascii_graphic() || b == b' ' { b as char } else { '*' };
            }
            seen += 1;
            if seen <= head || seen > total - tail { b as char } else { '*' }
        })
        .collect();
    shorten(shape)
}

/// Cuts stars out of the middle of a long shape.
fn shorten(shape: String) -> String {
    if shape.len() <= LONGEST {
        return shape;
    }
    // Shapes are ASCII.
    format!("{}...{}", &shape[..LONGEST / 2], &shape[shape.len() - 16..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(mask(b"4111-1111-1111-1111", 0, 4), "****-****-****-1111");
        assert_eq!(mask(b"AKIAIOSFODNN7EXAMPLE", 4, 4), "AKIA************MPLE");
        assert_eq!(mask(b"abc", 0, 4), "**c");
        assert_eq!(mask(&[b'a'; 500], 4, 4).len(), 59);
    }
}
