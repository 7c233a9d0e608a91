// Package frontend carries the built pages inside the binary.
package frontend

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// ErrNotBuilt is returned for a page of a front end that was not built before the binary.
var ErrNotBuilt = errors.New("frontend: not built")

// Page returns the HTML of a page, "card" or "settings". It holds Slot once, to be replaced by the page's state.
func Page(name string) ([]byte, error) {
	page, err := dist.ReadFile("dist/" + name + ".html")
	if err != nil {
		return nil, fmt.Errorf("%w: page %q", ErrNotBuilt, name)
	}
	return page, nil
}

// Slot is the place in a page where its state goes, as JSON with <, > and & escaped (json.Marshal does so).
const Slot = `<script type="application/json" id="dealpay-state"></script>`

// Assets returns the files that pages ask for under /assets/. Names with a hash never change their content;
// pay.js and pay.css keep their names.
func Assets() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a valid path, so this cannot be
	}
	return files
}
