package amo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/crm/crmtest"
)

const eventsURL = "https://pay.example.com/amocrm/events/secret-hook"

func TestAmoCRMKeepsThePort(t *testing.T) {
	crmtest.Run(t, func(t *testing.T) crmtest.Fixture { return newStand(t, amo.AmoCRM).fixture(t) })
}

func TestKommoKeepsThePort(t *testing.T) {
	crmtest.Run(t, func(t *testing.T) crmtest.Fixture { return newStand(t, amo.Kommo).fixture(t) })
}

// stand is a running stand-in with two accounts, and a client that reaches it under the accounts' names.
type stand struct {
	variant amo.Variant
	server  *amotest.Server
	client  *http.Client
}

// paced lets the stand-in's time pass before each request, so that its limits hold without a wait.
type paced struct {
	next     http.RoundTripper
	accounts []*amotest.Account
}

func (p paced) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, a := range p.accounts {
		a.Control.Clock.Advance(200 * time.Millisecond)
	}
	return p.next.RoundTrip(r)
}

func newStand(t *testing.T, v amo.Variant) *stand {
	t.Helper()
	double := amotest.AmoCRM
	if v.System == crm.Kommo {
		double = amotest.Kommo
	}
	s := amotest.New(amotest.Config{Variant: double, ClientID: "0b0123f4-d123-4123-9123-e09f123456c0", ClientSecret: "secret",
		AppURL: "https://pay.example.com", PublicSuffix: ".localhost", Accounts: []string{"acme", "beta"}})
	t.Cleanup(s.Close)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	dialer := net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, web.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &stand{variant: v, server: s,
		client: &http.Client{Transport: paced{transport, []*amotest.Account{s.Account("acme"), s.Account("beta")}}}}
}

func (s *stand) fixture(t *testing.T) crmtest.Fixture {
	first := s.server.Account("acme").Deal("1")
	f := crmtest.Fixture{Shuts: true, Site: s.site(t, "acme"), Other: s.site(t, "beta"), Deals: []string{"1", "2", "3"}, Gone: "999999",
		Known: crm.Deal{ID: "1", Title: "Deal 1", Amount: crm.Money{Decimal: first.Amount, Currency: first.Currency},
			Pipeline: fmt.Sprint(amotest.MainPipeline), Stage: fmt.Sprint(amotest.StageNew), OwnerID: fmt.Sprint(amotest.ManagerID),
			Contact: crm.Contact{Key: "contact 5001", Name: "Customer 1", Phone: "+12025550101", Email: "customer1@example.com"}},
		Move: [2]crmtest.Place{{Pipeline: fmt.Sprint(amotest.MainPipeline), Stage: fmt.Sprint(amotest.StageInvoice)},
			{Pipeline: fmt.Sprint(amotest.OtherPipeline), Stage: "142"}},
		Own: own, Lost: "999",
		Manager: fmt.Sprint(amotest.ManagerID), Outsider: fmt.Sprint(amotest.NoRightsID),
		NoteCall: "POST /api/v4/leads/notes", TaskCall: "POST /api/v4/tasks"}
	if s.variant.System == crm.Kommo {
		f.RetryAfter = time.Second // amoCRM's gateway page does not say
	}
	return f
}

func (s *stand) site(t *testing.T, sub string) crmtest.Site {
	account := s.server.Account(sub)
	credentials := account.Credentials()
	refresh := credentials["refresh_token"].(string)
	tokens := crmtest.NewTokens(credentials["access_token"].(string), func() (string, error) {
		var got struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		}
		status := s.call(t, account, "POST", "/oauth2/access_token", map[string]any{"client_id": credentials["client_id"],
			"client_secret": credentials["client_secret"], "grant_type": "refresh_token", "refresh_token": refresh,
			"redirect_uri": credentials["redirect_uri"]}, &got)
		if status != http.StatusOK {
			return "", &crm.Error{Class: crm.Revoked, Op: "refresh", Err: errors.New("refused")}
		}
		refresh = got.Refresh
		return got.Access, nil
	})
	pacer := &crmtest.Pacer{}
	return crmtest.Site{Tokens: tokens, Pacer: pacer, Control: account.Control,
		Open: func(l crm.Layout, places ...crm.Places) crm.Account {
			return amo.New(amo.Config{Variant: s.variant, Domain: account.Referer(), HTTP: s.client, Tokens: tokens, Pacer: pacer,
				Layout: l, Places: slices.Concat(places, []crm.Places{nil})[0], EventsURL: eventsURL, Lang: "en", Now: account.Control.Clock.Now})
		},
		Calls: func() int {
			n := 0
			for _, r := range account.Control.Requests() {
				if strings.HasPrefix(r.Path, "/api/") {
					n++
				}
			}
			return n
		},
		View:       func(deal string) crmtest.View { return view(account.Deal(deal)) },
		Registered: func() []string { return registered(account) },
		Drift: func() {
			s.call(t, account, "DELETE", "/api/v4/webhooks", map[string]string{"destination": eventsURL}, nil)
			for _, code := range []string{"DEALPAY_LINK", "DEALPAY_STATUS"} {
				s.call(t, account, "DELETE", "/api/v4/leads/custom_fields/"+s.fieldID(t, account, code), nil, nil)
			}
		},
		Expire: func() { account.Control.Clock.Advance(25 * time.Hour) },
	}
}

// own are the fields that every account is seeded with.
var own = []crm.Field{
	{ID: "101", Name: "Accounting: status", Type: crm.TextField, Writable: true},
	{ID: "102", Name: "Accounting: received", Type: crm.NumberField, Writable: true},
	{ID: "103", Name: "Accounting: balance", Type: crm.NumberField, Writable: true},
	{ID: "104", Name: "Accounting: link", Type: crm.LinkField, Writable: true},
	{ID: "105", Name: "Accounting: received at", Type: crm.DateTimeField, Writable: true},
	{ID: "106", Name: "Accounting: day", Type: crm.DateField, Writable: true},
	{ID: "107", Name: "Colour", Type: crm.OtherField, Writable: true},
}

func registered(a *amotest.Account) []string {
	var got []string
	for _, h := range a.State().Webhooks {
		got = append(got, fmt.Sprint(h["destination"], " ", h["disabled"], " ", h["settings"]))
	}
	return got
}

// view brings the stand-in's picture of a lead into the suite's words.
func view(d amotest.Deal) crmtest.View {
	v := crmtest.View{Fields: map[string]string{}, Own: map[string]string{}, Place: crmtest.Place{Pipeline: d.Pipeline, Stage: d.Stage}}
	text := func(key string) string {
		if held, ok := d.Fields["DEALPAY_"+strings.ToUpper(key)]; ok {
			return fmt.Sprint(held)
		}
		return ""
	}
	for _, key := range crm.FieldKeys {
		switch held := text(key); {
		case held == "":
		case slices.Contains([]string{"paid", "refunded", "outstanding"}, key):
			v.Fields[key] = held + " " + text("currency")
		case strings.HasSuffix(key, "_at"):
			v.Fields[key] = time.Unix(d.Fields["DEALPAY_"+strings.ToUpper(key)].(int64), 0).UTC().Format(time.RFC3339)
		default:
			v.Fields[key] = held
		}
	}
	for _, f := range own {
		switch held, ok := d.Fields[f.ID]; {
		case !ok:
		case f.Type == crm.DateTimeField:
			v.Own[f.ID] = time.Unix(held.(int64), 0).UTC().Format(time.RFC3339)
		case f.Type == crm.DateField:
			v.Own[f.ID] = time.Unix(held.(int64), 0).UTC().Format(time.DateOnly)
		default:
			v.Own[f.ID] = fmt.Sprint(held)
		}
	}
	for _, n := range d.Notes {
		v.Notes = append(v.Notes, crmtest.Note{ID: n.ID, Text: n.Text})
	}
	for _, k := range d.Tasks {
		v.Tasks = append(v.Tasks, crmtest.Task{ID: k.ID, Text: k.Text, OwnerID: k.Owner, Done: k.Done})
	}
	return v
}

// call speaks to the stand-in behind the adapter's back, as its administrator.
func (s *stand) call(t *testing.T, a *amotest.Account, method, path string, body, out any) int {
	t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(context.Background(), method, a.URL()+path, bytes.NewReader(raw))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Authorization", "Bearer "+a.TokenFor(amotest.AdminID))
	}
	answer, err := s.client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	if out != nil && answer.StatusCode < 300 {
		require.NoError(t, json.Unmarshal(got, out))
	}
	return answer.StatusCode
}

func (s *stand) fieldID(t *testing.T, a *amotest.Account, code string) string {
	t.Helper()
	var got struct {
		Embedded struct {
			Fields []struct {
				ID   int64
				Code string
			} `json:"custom_fields"`
		} `json:"_embedded"`
	}
	s.call(t, a, "GET", "/api/v4/leads/custom_fields", nil, &got)
	for _, f := range got.Embedded.Fields {
		if f.Code == code {
			return fmt.Sprint(f.ID)
		}
	}
	require.Fail(t, "no field "+code)
	return ""
}
