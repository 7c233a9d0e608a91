// Package amosource carries the sources of the widget archive for amoCRM and
// Kommo inside the binary; package archive turns them into the zip that the
// marketplaces take.
package amosource

import "embed"

// Files holds manifest.json, script.js, style.css and i18n/<language>.json. In script.js, __APP_URL__ and
// __PRODUCT__ stand for JSON strings that the build fills in.
//
//go:embed manifest.json script.js style.css i18n/*.json
var Files embed.FS
