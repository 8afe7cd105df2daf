//! What the wire structs have in common, written once. Each macro takes `field: Type = "name"`
//! lines, so that a wire struct reads like the table in the service model that it mirrors.

/// Implements `Part` (see `params`) for a struct: `field = "ParameterName"`.
macro_rules! impl_part {
    ($name:ident { $($field:ident = $wire:tt),* $(,)? }) => {
        impl $crate::ec2::wire::params::Part for $name {
            fn write(&self, name: &str, out: &mut Vec<(String, String)>) {
                $($crate::ec2::wire::params::Field::write(
                    &self.$field,
                    &$crate::ec2::wire::params::join(name, $wire),
                    out,
                );)*
            }

            fn read(
                mut node: $crate::ec2::wire::params::Node,
            ) -> Result<Self, $crate::ec2::wire::ParamError> {
                let value = Self {
                    $($field: $crate::ec2::wire::params::Field::read(node.take($wire))?,)*
                };
                node.finish()?;
                Ok(value)
            }
        }
    };
}

/// A test value with every field set.
macro_rules! impl_sample {
    ($name:ident { $($field:ident),* $(,)? }) => {
        #[cfg(test)]
        impl $crate::ec2::wire::tests::Sample for $name {
            fn sample() -> Self {
                Self { $($field: $crate::ec2::wire::tests::Sample::sample(),)* }
            }
        }
    };
}

/// A structure inside a request.
macro_rules! group {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $wire:tt,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl_part!($name { $($field = $wire),* });
        impl_sample!($name { $($field),* });
    };
}

/// A request: `"Action" XRequest -> XResponse { … }`.
macro_rules! request {
    ($(#[$doc:meta])* $action:literal $name:ident -> $response:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $wire:tt,)*
    }) => {
        group! {
            $(#[$doc])*
            $name {
                $($(#[$field_doc])* $field: $type = $wire,)*
            }
        }

        impl $crate::ec2::wire::Request for $name {
            const ACTION: &'static str = $action;
            type Response = $response;

            fn to_params(&self) -> Vec<(String, String)> {
                let mut params = Vec::new();
                $crate::ec2::wire::params::Part::write(self, "", &mut params);
                params
            }

            fn from_params(
                params: &[(String, String)],
            ) -> Result<Self, $crate::ec2::wire::ParamError> {
                $crate::ec2::wire::params::Part::read($crate::ec2::wire::params::Node::root(params)?)
            }
        }
    };
}

/// A structure inside a response.
macro_rules! element {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $wire:tt,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(
                    rename = $wire,
                    skip_serializing_if = "crate::ec2::wire::xml::Absent::is_absent"
                )]
                pub $field: $type,
            )*
        }

        impl_sample!($name { $($field),* });
    };
}

/// A response, which is also the name of the root element; the request id is added.
macro_rules! response {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $wire:tt,)*
    }) => {
        element! {
            $(#[$doc])*
            $name {
                /// The id of the request, for AWS support.
                request_id: Option<String> = "requestId",
                $($(#[$field_doc])* $field: $type = $wire,)*
            }
        }

        impl $crate::ec2::wire::Response for $name {
            const ROOT: &'static str = stringify!($name);

            fn to_xml(&self) -> Result<String, $crate::ec2::wire::XmlError> {
                $crate::ec2::wire::xml::encode(Self::ROOT, Some($crate::ec2::wire::NAMESPACE), self)
            }

            fn from_xml(text: &str) -> Result<Self, $crate::ec2::wire::XmlError> {
                $crate::ec2::wire::xml::decode(Self::ROOT, text)
            }
        }
    };
}
