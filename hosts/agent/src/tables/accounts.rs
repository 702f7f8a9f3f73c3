//! `/etc/passwd` and `/etc/group`, line by line.

/// One account. Lines that are no account are skipped, as the C library does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account<'line> {
    pub(super) name: &'line [u8],
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) description: &'line [u8],
    pub(super) directory: &'line [u8],
    pub(super) shell: &'line [u8],
}

pub(super) fn accounts(passwd: &[u8]) -> impl Iterator<Item = Account<'_>> {
    passwd.split(|&byte| byte == b'\n').filter_map(account)
}

/// One group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group<'line> {
    pub(super) name: &'line [u8],
    pub(super) gid: u32,
    members: &'line [u8],
}

impl<'line> Group<'line> {
    /// The names of its members, those whose own group it is not among them.
    pub(super) fn members(&self) -> impl Iterator<Item = &'line [u8]> + use<'line> {
        let members = self.members.split(|&byte| byte == b',');
        members.filter(|member| !member.is_empty())
    }
}

/// The groups of `/etc/group`; lines that are none are skipped.
pub(super) fn groups(group: &[u8]) -> impl Iterator<Item = Group<'_>> {
    group.split(|&byte| byte == b'\n').filter_map(|line| {
        if matches!(line.first(), None | Some(b'#' | b'+' | b'-')) {
            return None;
        }
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?;
        let _password = fields.next()?;
        let gid = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let members = fields.next().unwrap_or_default().trim_ascii();
        Some(Group { name, gid, members })
    })
}

fn account(line: &[u8]) -> Option<Account<'_>> {
    // Lines with `+` and `-` belong to NIS.
    if matches!(line.first(), None | Some(b'#' | b'+' | b'-')) {
        return None;
    }
    let mut fields = line.split(|&byte| byte == b':');
    let name = fields.next()?;
    let _password = fields.next()?;
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (uid, gid) = (number()?, number()?);
    let mut text = || fields.next().unwrap_or_default();
    Some(Account {
        name,
        uid,
        gid,
        description: text(),
        directory: text(),
        shell: text(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_accounts_and_skips_what_is_none() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\n# note\n\n+@nis\nbad\njay:x:1001:1001::/home/jay:\nnoshell:*:7:8\n";
        let accounts: Vec<_> = accounts(passwd).collect();
        assert_eq!(accounts.len(), 3);
        assert_eq!(
            (accounts[0].name, accounts[0].shell),
            (&b"root"[..], &b"/bin/bash"[..])
        );
        assert_eq!(
            (accounts[1].uid, accounts[1].directory, accounts[1].shell),
            (1001, &b"/home/jay"[..], &b""[..])
        );
        assert_eq!(
            (accounts[2].uid, accounts[2].gid, accounts[2].directory),
            (7, 8, &b""[..])
        );
    }

    proptest! {
        #[test]
        fn no_file_can_make_it_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
            accounts(&content).for_each(drop);
            groups(&content).for_each(|group| group.members().for_each(drop));
        }
    }
}
