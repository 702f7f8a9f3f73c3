//! `/proc/self/maps` and `/proc/self/smaps`, as proc(5) describes them.

use std::ops::Range;

/// The mappings of files that cannot be written now, by `maps`.
pub(crate) fn read_only_files(maps: &str) -> Vec<Range<usize>> {
    maps.lines().filter_map(mapping).flatten().collect()
}

/// Those of them, by `smaps`, of which no page ever was written: what is in them is what is in the file. Relocations that
/// were applied and then protected are not among them, not even once they are swapped out and no longer counted as
/// `Anonymous`.
pub(crate) fn unwritten_files(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some(mapping) = mapping(line) {
            current = mapping;
            continue;
        }
        let mut fields = line.split_ascii_whitespace();
        match (fields.next(), fields.next()) {
            (Some("Anonymous:" | "Swap:"), Some(size)) if size != "0" => current = None,
            // Comes behind the other one.
            (Some("Swap:"), Some(_)) => found.extend(current.take()),
            _ => {}
        }
    }
    found
}

/// The first line of a mapping, `55d0c0a00000-55d0c0a2c000 r-xp 00002000 fe:00 1234 /usr/bin/x`: where it is, when it is
/// that of a file that cannot be written. `None` of any other line.
fn mapping(line: &str) -> Option<Option<Range<usize>>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let range = address(start)?..address(end)?;
    let permissions = fields.next()?;
    let path = fields.nth(3).unwrap_or_default();
    let is_meant = permissions.starts_with('r')
        && permissions[1..].starts_with('-')
        && permissions.ends_with('p')
        && path.starts_with('/');
    Some(is_meant.then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d000000000-55d000002000 r--p 00000000 fe:00 1234                       /usr/bin/a program
Size:                  8 kB
Rss:                   8 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me
55d000002000-55d000003000 r-xp 00002000 fe:00 1234                       /usr/bin/a program
Anonymous:             0 kB
Swap:                  0 kB
55d000003000-55d000004000 r--p 00003000 fe:00 1234                       /usr/bin/a program
Anonymous:             4 kB
Swap:                  0 kB
55d000004000-55d000005000 rw-p 00004000 fe:00 1234                       /usr/bin/a program
Anonymous:             0 kB
Swap:                  0 kB
55d000005000-55d000006000 r--s 00000000 fe:00 1235                       /var/lib/shared
Anonymous:             0 kB
Swap:                  0 kB
7f0000000000-7f0000001000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
7f0000001000-7f0000002000 r--p 00002000 fe:00 1236                       /usr/lib/a library
Anonymous:             0 kB
Swap:                  4 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
Swap:                  0 kB
";

    #[test]
    fn only_files_that_nobody_wrote_to_are_meant() {
        let unwritten = [
            0x55d0_0000_0000..0x55d0_0000_2000,
            0x55d0_0000_2000..0x55d0_0000_3000,
        ];
        assert_eq!(unwritten_files(SMAPS), unwritten);
        let written_once = 0x55d0_0000_3000..0x55d0_0000_4000;
        let written_and_swapped_out = 0x7f00_0000_1000..0x7f00_0000_2000;
        assert_eq!(
            read_only_files(SMAPS)[2..],
            [written_once, written_and_swapped_out]
        );
    }

    #[test]
    fn what_is_no_mapping_is_none() {
        for text in ["", "-", "x-y r--p", "Anonymous: 0 kB", "12-34", "12-34 r"] {
            assert_eq!(
                unwritten_files(&format!("{text}\nAnonymous: 0 kB\nSwap: 0 kB\n")),
                [],
                "{text}"
            );
            assert_eq!(read_only_files(text), [], "{text}");
        }
    }
}
