//! What every bridge does alike: answering sync requests with pages, and push requests with one effect each.
//!
//! A bridge implements [`OutsideSystem`] and is run by [`serve()`]: by [`Pulls`] and [`Pushes`]. They hold the promises (a page and its
//! cursor are one, an effect is done once and looked up after any doubt), the system holds the facts.

mod budget;
mod collections;
mod content;
mod intent;
mod pulls;
mod pushes;
mod serve;
mod system;
mod waits;

pub use budget::{KeptCount, budget_of};
pub use collections::unknown_collection;
pub use content::{
    Content, ContentError, ContentProvider, ContentReader, NoContents, OfferedContent, fetch, serve_content,
};
pub use intent::{Applied, Intent};
pub use pulls::Pulls;
pub use pushes::{Pushes, PushesError};
pub use serve::{NEEDS, ServeError, serve};
pub use system::{
    Earlier, Effect, Next, OutsideSystem, Page, PushTask, Shown, Span, Start, StillMine, Wait,
    effect_of_error,
};
