//! An eye on fences: nothing but 0, 1 and -1 may ever be in one.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Reads the words of fences over and over, past all mappings, until it is asked what it has seen.
#[derive(Debug)]
pub struct FenceChecker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, u32>>,
}

impl FenceChecker {
    /// Begins to look at the first word of each file.
    pub fn start(files: Vec<File>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Self { stop, thread: std::thread::spawn(move || look(&files, &told)) }
    }

    /// How many words it has read, or the first one that is no fence's.
    pub fn finish(self) -> Result<u64, u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(Err(0))
    }
}

fn look(files: &[File], stop: &AtomicBool) -> Result<u64, u32> {
    let mut looks = 0;
    loop {
        for file in files {
            match word_in(file) {
                Some(0 | 1 | u32::MAX) => looks += 1,
                Some(other) => return Err(other),
                None => {}
            }
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(looks);
        }
        std::thread::yield_now();
    }
}

/// The word, or `None` while it changes: the kernel may copy it byte by byte.
fn word_in(file: &File) -> Option<u32> {
    let read = || {
        let mut bytes = [0; 4];
        let read = rustix::io::pread(file, &mut bytes, 0);
        (read == Ok(4)).then_some(u32::from_ne_bytes(bytes))
    };
    let word = read()?;
    (read()? == word).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_fences_is_reported() {
        for (word, result) in [(0, true), (1, true), (u32::MAX, true), (2, false), (0xffff, false)] {
            let path = std::env::temp_dir().join(format!("fence-checker-{}", std::process::id()));
            let file =
                File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            rustix::io::pwrite(&file, &word.to_ne_bytes(), 0).unwrap();
            let seen = FenceChecker::start(vec![file]).finish();
            assert_eq!(seen.map(|looks| looks > 0), if result { Ok(true) } else { Err(word) });
        }
    }
}
