//! Which of some known names was probably meant.

/// The number of single-character insertions, deletions and replacements that turn `left` into
/// `right` (Levenshtein's distance), over bytes.
fn distance(left: &str, right: &str) -> usize {
    let right = right.as_bytes();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *cell;
            before = replaced.min(diagonal + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(left.len())
}

/// The known names nearest to `name`, at most `count`, nearest first and then in alphabetical
/// order. Names that differ in more than two fifths of the longer one's characters are not near.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| {
            (
                distance(&name.to_ascii_lowercase(), &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(far, candidate)| far * 5 <= name.len().max(candidate.len()) * 2)
        .collect();
    near.sort_unstable();
    near.truncate(count);
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_edits() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn the_nearest_name_comes_first_and_far_ones_not_at_all() {
        let known = ["WARM_IP_TARGET", "WARM_ENI_TARGET", "VPC_CNI_SOCKET"];
        assert_eq!(
            nearest("WARM_IPS_TARGET", known, 2),
            ["WARM_IP_TARGET", "WARM_ENI_TARGET"]
        );
        assert_eq!(nearest("WARM_X", known, 2), [""; 0]);
        assert_eq!(nearest("warm_ip_target", known, 1), ["WARM_IP_TARGET"]);
    }
}
