//! Cuts a file into rows, and finds its way again after a row that cannot be read.

use csv::{ByteRecord, ReaderBuilder};

use super::CsvWarning;

/// A row with as many cells as there are columns.
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

/// A file's rows.
pub(super) struct Read {
    pub(super) names: Vec<String>,
    pub(super) records: Vec<Record>,
    pub(super) warnings: Vec<CsvWarning>,
}

/// Reads a file, or gives `None` when it has no column names.
pub(super) fn read(bytes: &[u8]) -> Option<Read> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut read = Read { names: Vec::new(), records: Vec::new(), warnings: Vec::new() };
    let mut rest = Some((bytes, 1));
    while let Some((part, line)) = rest {
        rest = read_until_lost(part, line, &mut read);
    }
    (!read.names.is_empty()).then_some(read)
}

/// Reads rows until one that is wrong takes several lines, most likely by a quote that is not closed. Gives what comes
/// after the first of those lines, and its number.
fn read_until_lost<'a>(part: &'a [u8], first_line: u64, read: &mut Read) -> Option<(&'a [u8], u64)> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(part);
    let mut record = ByteRecord::new();
    loop {
        let before = reader.position().clone();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                read.warnings.push(CsvWarning { line: first_line, reason: error.to_string() });
                return None;
            }
        }
        // The position before a row still counts the blank lines above it; the row's own begins after those.
        let begin = record.position().map_or(before.byte(), csv::Position::byte);
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let text = part.get(begin..end).unwrap_or_default();
        let blank = text.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let line = first_line + line_breaks(part.get(..begin + blank).unwrap_or_default());
        if read.names.is_empty() {
            read.names = record.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            continue;
        }
        let row = text.get(blank..).unwrap_or_default();
        let expected = read.names.len();
        let reason = if !well_quoted(row) {
            "a quote is not closed at the end of its cell; the line is left out".to_owned()
        } else if record.len() == expected {
            match cells(&record) {
                Some(cells) => read.records.push(Record { line, cells }),
                None => read
                    .warnings
                    .push(CsvWarning { line, reason: "the row is not in UTF-8; it is left out".to_owned() }),
            }
            continue;
        } else {
            format!("the row has {} cells where the first line has {expected}; it is left out", record.len())
        };
        read.warnings.push(CsvWarning { line, reason });
        if let Some(after) = row.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
            && row.get(after..).is_some_and(|more| more.iter().any(|byte| !matches!(byte, b'\n' | b'\r')))
        {
            return part.get(begin + blank + after..).map(|rest| (rest, line + 1));
        }
    }
}

/// Whether every cell that begins with a quote ends with one (RFC 4180, section 2). The reader is more forgiving: it
/// takes `"two` and the lines after it, up to any other quote, for one cell, and rows would vanish unnamed.
fn well_quoted(row: &[u8]) -> bool {
    let mut bytes = row.iter().peekable();
    loop {
        if bytes.next_if_eq(&&b'"').is_some() {
            loop {
                match bytes.next() {
                    None => return false,
                    Some(b'"') if bytes.next_if_eq(&&b'"').is_none() => break,
                    Some(_) => {}
                }
            }
            if !matches!(bytes.peek(), None | Some(b',' | b'\r' | b'\n')) {
                return false;
            }
        }
        // The rest of an unquoted cell, where a quote is a letter like any other.
        if !bytes.any(|byte| *byte == b',') {
            return true;
        }
    }
}

fn line_breaks(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn cells(record: &ByteRecord) -> Option<Vec<String>> {
    record.iter().map(|cell| std::str::from_utf8(cell).ok().map(str::to_owned)).collect()
}
