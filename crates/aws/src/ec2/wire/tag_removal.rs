//! `DeleteTags`.

use super::Tag;

request! {
    /// Takes tags from resources. What is not there is no error.
    "DeleteTags" DeleteTagsRequest -> DeleteTagsResponse {
        /// The ids of the resources, of any kind, up to 1000.
        resources: Vec<String> = "ResourceId",
        /// The tags: with a value only where the tag has it, without one in any case; all tags if
        /// the list is empty.
        tags: Vec<Tag> = "Tag",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// They are gone.
    DeleteTagsResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}
