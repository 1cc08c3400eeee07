//! One line of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

use crate::rows::{Kind, RowKind};
use crate::{RecordError, Stamp, Stamped};

/// A row: what was recorded, and where in the run.
///
/// On disk it is a JSON object with `kind`, `epoch`, `iteration`, `step`, and then the kind's own fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where.
    pub at: Stamp,
    /// What.
    pub kind: Kind,
}

/// The fields that every line starts with.
#[derive(Serialize, Deserialize)]
struct Head {
    kind: String,
    epoch: u32,
    iteration: u32,
    step: u64,
}

impl Row {
    /// The row as a JSON object on one line.
    ///
    /// # Errors
    /// [`RecordError::Unwritable`] if it cannot be written.
    pub fn to_json(&self) -> Result<String, RecordError> {
        let Stamp { epoch, iteration, step } = self.at;
        let head = Head { kind: self.kind.name().to_owned(), epoch, iteration, step };
        let head = serde_json::to_string(&head).map_err(RecordError::unwritable)?;
        let fields = self.kind.to_json().map_err(RecordError::unwritable)?;
        Ok(format!("{},{}", head.trim_end_matches('}'), &fields[1..]))
    }

    /// Reads the output of [`Row::to_json`].
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        let Head { kind, epoch, iteration, step } =
            serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let read = Kind::from_json(&kind, text).ok_or_else(|| format!("unknown kind `{kind}`"))?;
        let kind = read.map_err(|error| format!("{kind}: {error}"))?;
        Ok(Self { at: Stamp { epoch, iteration, step }, kind })
    }
}

/// The rows of one kind among `records`, in order.
pub fn rows_of<T: RowKind>(records: &[Row]) -> impl DoubleEndedIterator<Item = Stamped<'_, T>> + Clone {
    records.iter().filter_map(|row| Some(Stamped { at: row.at, row: T::of(&row.kind)? }))
}
