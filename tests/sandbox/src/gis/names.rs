//! The names that a layer has given to the fields which the server itself keeps.

use serde::{Deserialize, Serialize};

/// Names of the ids and of the editor tracking fields. They differ from layer to layer, and metadata tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemNames {
    /// The object id.
    pub object_id: String,
    /// The global id.
    pub global_id: String,
    /// When a row was made.
    pub creation_date: String,
    /// When a row was last edited.
    pub edit_date: String,
    /// Who made a row.
    pub creator: String,
    /// Who edited a row last.
    pub editor: String,
}

impl SystemNames {
    fn of(tracked: [&str; 4]) -> Self {
        let [creation_date, edit_date, creator, editor] = tracked.map(str::to_owned);
        Self {
            object_id: "OBJECTID".to_owned(),
            global_id: "GlobalID".to_owned(),
            creation_date,
            edit_date,
            creator,
            editor,
        }
    }

    /// The names that a geodatabase proposes when a person switches editor tracking on.
    pub fn of_a_geodatabase() -> Self {
        Self::of(["created_date", "last_edited_date", "created_user", "last_edited_user"])
    }

    /// The names of a hosted layer, as ArcGIS Online makes them.
    pub fn of_a_hosted_layer() -> Self {
        Self::of(["CreationDate", "EditDate", "Creator", "Editor"])
    }

    /// The editor tracking fields.
    pub(super) fn tracked(&self) -> [&str; 4] {
        [&self.creation_date, &self.edit_date, &self.creator, &self.editor]
    }
}

impl Default for SystemNames {
    /// The names of the layer of active litigations.
    fn default() -> Self {
        Self::of(["CREATION_DATE", "LAST_MODIFIED_DATE", "created_user", "last_edited_user"])
    }
}
