"""What lives in OpenSearch, and the connection to it; only this package knows its client library."""
