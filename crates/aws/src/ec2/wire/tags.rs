//! `CreateTags`.

use super::Tag;

request! {
    /// Sets tags of resources, replacing values of keys that exist.
    "CreateTags" CreateTagsRequest -> CreateTagsResponse {
        /// The ids of the resources, of any kind, up to 1000.
        resources: Vec<String> = "ResourceId",
        /// The tags, up to 50 per resource.
        tags: Vec<Tag> = "Tag",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The tags are set.
    CreateTagsResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}
