package amotest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// Archive is an unzipped widget.
type Archive struct {
	Manifest Manifest
	// Files are the contents by path, "script.js" say.
	Files map[string][]byte
	// Texts are the i18n files by language.
	Texts map[string]map[string]any
}

// Manifest is the part of manifest.json that the CRM acts on.
type Manifest struct {
	Widget struct {
		Name             string   `json:"name"`
		Description      string   `json:"description"`
		ShortDescription string   `json:"short_description"`
		Version          string   `json:"version"`
		InterfaceVersion int      `json:"interface_version"`
		InitOnce         bool     `json:"init_once"`
		Locale           []string `json:"locale"`
		Installation     *bool    `json:"installation"`
		Support          struct {
			Link  string `json:"link"`
			Email string `json:"email"`
		} `json:"support"`
	} `json:"widget"`
	Locations []string `json:"locations"`
	Tour      struct {
		IsTour      bool                `json:"is_tour"`
		Images      map[string][]string `json:"tour_images"`
		Description string              `json:"tour_description"`
	} `json:"tour"`
	Settings map[string]Setting `json:"settings"`
	DP       struct {
		Settings       map[string]Setting `json:"settings"`
		ActionMultiple *bool              `json:"action_multiple"`
		WebhookURL     string             `json:"webhook_url"`
	} `json:"dp"`
	Advanced struct {
		Title string `json:"title"`
	} `json:"advanced"`
	Salesbot map[string]any `json:"salesbot_designer"`
	SMS      struct {
		Endpoint string `json:"endpoint"`
	} `json:"sms"`
	Mobile struct {
		FrameURL string `json:"frame_url"`
		Color    string `json:"color"`
	} `json:"mobile"`
}

// Setting is one field of the settings window.
type Setting struct {
	Name     string `json:"name"` // i18n key
	Type     string `json:"type"`
	Required bool   `json:"required"`
}

// OpenArchive unzips a widget and refuses what the product's moderation would: the error joins
// everything that is wrong ("Widget structure", "manifest.json", "Images").
func OpenArchive(v Variant, content []byte) (*Archive, error) {
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	a := &Archive{Files: map[string][]byte{}, Texts: map[string]map[string]any{}}
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if a.Files[f.Name], err = unzip(f); err != nil {
			return nil, err
		}
	}
	if a.Files["manifest.json"] == nil {
		return nil, errors.New("manifest.json is missing from the archive's root")
	}
	if err := json.Unmarshal(a.Files["manifest.json"], &a.Manifest); err != nil {
		return nil, errors.Join(errors.New("manifest.json cannot be read"), err)
	}
	return a, errors.Join(a.check(v)...)
}

func unzip(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(io.LimitReader(r, 16<<20))
}

// archiveCache keeps the opened archive until its bytes change.
type archiveCache struct {
	mu   sync.Mutex
	hash [32]byte
	open *Archive
	err  error
}

// archive is the configured widget; an error tells why there is none.
func (s *Server) archive() (*Archive, error) {
	if s.config.Archive == nil {
		return nil, errors.New("no widget archive")
	}
	content, err := s.config.Archive()
	if err != nil {
		return nil, err
	}
	s.archives.mu.Lock()
	defer s.archives.mu.Unlock()
	if hash := sha256.Sum256(content); hash != s.archives.hash {
		s.archives.hash = hash
		s.archives.open, s.archives.err = OpenArchive(s.config.Variant, content)
	}
	if s.archives.err != nil {
		return nil, s.archives.err
	}
	return s.archives.open, nil
}
