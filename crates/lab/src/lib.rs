//! A VPC on one Linux machine: fabric in network namespaces, real daemons and plugins, demo and end-to-end tests.
