// Package api is the HTTP contract of /api/v1: the OpenAPI document and the Go types made from it.
package api

import _ "embed"

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.yaml

// Document is the OpenAPI document as it is served.
//
//go:embed openapi.yaml
var Document []byte
