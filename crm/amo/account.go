// Package amo is the adapter to amoCRM and Kommo, two names of one product:
// what differs between them is a [Variant].
//
// It speaks REST v4 (amocrm.ru "API v4"; developers.kommo.com "API reference")
// and knows four things that the documentation spreads out: arrays are written
// 50 at a time and fail as a whole when one element is wrong; answers are
// matched by request_id, never by position; an empty list is a 204; and nothing
// that is posted can be made idempotent, so that an ambiguous note or task is
// looked for before it is repeated.
package amo

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// Config is what an account is opened with.
type Config struct {
	Variant   Variant
	Domain    string       // present host of the account, "acme.amocrm.ru"; already checked against the allow-list
	APIDomain string       // shared API host from the access token, for CurrentDomain; may be empty
	HTTP      *http.Client // nil means http.DefaultClient's transport
	Tokens    crm.Tokens
	Pacer     crm.Pacer  // nil means no pacing
	Layout    crm.Layout // from an earlier Setup
	EventsURL string     // where the CRM should send its webhooks; empty means none
	Lang      string     // of field names and options, one of crm.Langs
	Places    crm.Places // what does not go to our own fields
	Now       func() time.Time
}

// Account is one connected account. It implements crm.Account and crm.UserReader.
type Account struct {
	cfg    Config
	http   *http.Client
	layout layout

	mu       sync.Mutex
	currency string // of the account, read once
}

var (
	_ crm.Account      = (*Account)(nil)
	_ crm.FieldsReader = (*Account)(nil)
	_ crm.UserReader   = (*Account)(nil)
)

// layout is what Setup made, as kept by the caller.
type layout struct {
	Fields map[string]field `json:"fields"`           // by key
	Events string           `json:"events,omitempty"` // where webhooks go; empty when the tariff has none

	places crm.Places // from the tenant's settings, as is lang: neither is kept with the layout
	lang   string
}

type field struct {
	ID    string            `json:"id"`
	Enums map[string]string `json:"enums,omitempty"` // option ids by crm.Status
}

// New opens an account. It sends nothing.
func New(cfg Config) *Account {
	if cfg.Pacer == nil {
		cfg.Pacer = crm.NoPacer{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := http.Client{}
	if cfg.HTTP != nil {
		client = *cfg.HTTP
	}
	// A redirect could lead the token to another host, and turns a PATCH into a GET.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := &Account{cfg: cfg, http: &client}
	_ = json.Unmarshal(cfg.Layout, &a.layout) // a lost layout costs nothing: fields are addressed by code
	a.layout.places, a.layout.lang = cfg.Places, cfg.Lang
	return a
}
