// Package frontend carries the built pages inside the binary.
package frontend

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// ErrNotBuilt is returned for a page of a front end that was not built before the binary.
var ErrNotBuilt = errors.New("frontend: not built")

// Page returns the HTML of a page, "card" or "settings". It holds Slot once, to be replaced by the page's state. The words
// of lang, where there are some, are named in it, so that they come together with the page's script and not after it.
func Page(name, lang string) ([]byte, error) {
	page, err := dist.ReadFile("dist/" + name + ".html")
	if err != nil {
		return nil, fmt.Errorf("%w: page %q", ErrNotBuilt, name)
	}
	return bytes.Replace(page, []byte(Slot), []byte(words(name, lang)+Slot), 1), nil
}

// words are links to the files of a page that hold what it says in a language.
func words(page, lang string) string {
	prefix := map[string]string{"settings": "settings-"}[page]
	links := ""
	for _, file := range files {
		if rest, ok := strings.CutPrefix(file.Name(), prefix+lang+"-"); ok && lang != "" && strings.HasSuffix(rest, ".js") {
			links += `<link rel="modulepreload" href="/assets/` + file.Name() + `">`
		}
	}
	return links
}

var files, _ = dist.ReadDir("dist") // it is embedded, so it can be read

// Sheet returns a stylesheet that a page carries inside; empty when the front end was not built.
func Sheet(name string) string {
	sheet, err := dist.ReadFile("dist/" + name + ".css")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(sheet))
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
