use super::*;

fn content(disk: &SimulatedDisk, path: &Path) -> Option<Vec<u8>> {
    super::super::read_all(disk, path).ok()
}

#[test]
fn only_what_was_synced_outlives_every_power_cut() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..100 {
        let disk = SimulatedDisk::new(seed);
        let folder = Path::new("/data");
        disk.create_folder(folder).unwrap();
        let path = folder.join("file");
        let file = disk.open(&path, Mode::Fresh).unwrap();
        file.write_at(0, b"safe", b"").unwrap();
        file.sync().unwrap();
        disk.sync_folder(folder).unwrap();
        file.write_at(4, b" and not", b"").unwrap();
        disk.cut_power();
        let found = content(&disk, &path).unwrap();
        assert!(found.starts_with(b"safe"));
        match found.len() {
            4 => lost += 1,
            _ => kept += 1,
        }
        assert!(file.write_at(0, b"late", b"").is_err(), "a dead process writes");
    }
    assert!(kept > 10 && lost > 10, "{kept} {lost}");
}

#[test]
fn a_failed_sync_is_forgotten() {
    let disk = SimulatedDisk::new(1);
    disk.create_folder(Path::new("/")).unwrap();
    let file = disk.open(Path::new("/file"), Mode::Fresh).unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    file.write_at(0, b"lost", b"").unwrap();
    disk.fail(Operation::Sync, 0);
    assert!(file.sync().is_err());
    assert_eq!(content(&disk, Path::new("/file")).unwrap(), b"lost");
    disk.cut_power();
    assert_eq!(content(&disk, Path::new("/file")).unwrap(), b"");
}
