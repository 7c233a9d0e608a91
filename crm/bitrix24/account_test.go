package bitrix24_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/crm/crmtest"
)

const clientID, clientSecret = "app.0123456789abcdef.1", "secret-of-the-tests"

// standIn is a started stand-in with two portals and a client that reaches it under any name.
type standIn struct {
	*bitrix24test.Server
	suffix string
	client *http.Client
	events chan crm.Event // as our events handler reads them
}

func start(t *testing.T) standIn { return startWith(t, "") }

// startWith starts a stand-in whose portals grant our application this scope; empty means all that it asks for.
func startWith(t *testing.T, scope string) standIn {
	srv := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	require.NoError(t, err)
	suffix, heard := ".localhost:"+port, make(chan crm.Event, 100)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if e, err := bitrix24.ParseEvent(r); err == nil && r.URL.Path == "/bitrix24/events" {
			heard <- e
		}
	}))
	portals := bitrix24test.New(bitrix24test.Config{ClientID: clientID, ClientSecret: clientSecret, AppCode: "dealpay.payments",
		AppURL: "http://app.localhost", PublicSuffix: suffix, HTTP: dial(app.Listener.Addr().String()), Portals: []string{"acme.bitrix24.com", "other.bitrix24.com"}, Scope: scope})
	srv.Config.Handler = portals
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		portals.Close()
		app.Close()
	})
	return standIn{Server: portals, suffix: suffix, client: dial(srv.Listener.Addr().String()), events: heard}
}

func (s standIn) rest(host string) string { return "http://" + host + s.suffix + "/rest/" }

// call asks a portal as a user, past the adapter.
func (s standIn) call(t *testing.T, host, user, method string, params map[string]any, result any) {
	t.Helper()
	body := map[string]any{"auth": s.Portal(host).TokenFor(user).Access}
	for k, v := range params {
		body[k] = v
	}
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	resp, err := s.client.Post(s.rest(host)+method, "application/json", strings.NewReader(string(raw)))
	require.NoError(t, err)
	defer resp.Body.Close()
	out := struct {
		Result any `json:"result"`
	}{result}
	require.Equal(t, http.StatusOK, resp.StatusCode, method)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&out))
}

// refresh does what the token store does: one refresh at the authorization server.
func (s standIn) refresh(refresh string) (access, next string, err error) {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "client_secret": {clientSecret}, "refresh_token": {refresh}}
	resp, err := s.client.PostForm("http://"+bitrix24test.AuthHost+s.suffix+bitrix24.TokenPath, form)
	if err != nil {
		return "", "", &crm.Error{Class: crm.Transient, Op: "refresh", Err: err}
	}
	defer resp.Body.Close()
	var out struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Access == "" {
		return "", "", &crm.Error{Class: crm.Revoked, Op: "refresh", Code: out.Error, Err: crm.ErrForged}
	}
	return out.Access, out.Refresh, nil
}

// counted counts what an adapter sends.
type counted struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func (s standIn) site(t *testing.T, host string) crmtest.Site {
	portal := s.Portal(host)
	pair := portal.TokenFor("1")
	tokens := crmtest.NewTokens(pair.Access, func() (string, error) {
		access, next, err := s.refresh(pair.Refresh)
		if err == nil {
			pair.Refresh = next
		}
		return access, err
	})
	sent := &counted{RoundTripper: s.client.Transport}
	pacer := &crmtest.Pacer{}
	return crmtest.Site{
		Open: func(l crm.Layout, places ...crm.Places) crm.Account {
			return bitrix24.New(bitrix24.Config{Endpoint: s.rest(host), HTTP: &http.Client{Timeout: 10 * time.Second, Transport: sent},
				Tokens: tokens, Pacer: pacer, Layout: l, Places: slices.Concat(places, []crm.Places{nil})[0], Lang: "en", Now: portal.Control.Clock.Now,
				Handlers: bitrix24.Handlers{Card: "http://app.localhost/bitrix24/card", Events: "http://app.localhost/bitrix24/events",
					Robots: "http://app.localhost/bitrix24/robots"}})
		},
		Tokens: tokens, Pacer: pacer, Control: portal.Control,
		Calls:      func() int { return int(sent.n.Load()) },
		View:       func(deal string) crmtest.View { return s.view(t, host, deal) },
		Registered: func() []string { return s.registered(t, host) },
		Drift:      func() { s.drift(t, host) },
		Expire:     func() { portal.Control.Clock.Advance(2 * time.Hour) },
	}
}

func (s standIn) registered(t *testing.T, host string) (all []string) {
	var placements, events []map[string]any
	var robots []string
	s.call(t, host, "1", "placement.get", nil, &placements)
	s.call(t, host, "1", "event.get", nil, &events)
	s.call(t, host, "1", "bizproc.robot.list", nil, &robots)
	all = append(all, robots...)
	for _, p := range placements {
		all = append(all, p["placement"].(string)+" "+p["handler"].(string))
	}
	for _, e := range events {
		all = append(all, e["event"].(string)+" "+e["handler"].(string))
	}
	return all
}

// drift is what an administrator may do: delete a field and options, unbind, and bind something of an old version.
func (s standIn) drift(t *testing.T, host string) {
	var found struct {
		Fields []struct{ ID, FieldName string } `json:"fields"`
	}
	s.call(t, host, "1", "userfieldconfig.list", map[string]any{"moduleId": "crm"}, &found)
	var done any
	for _, f := range found.Fields {
		switch {
		case strings.HasSuffix(f.FieldName, "_PAID_AT"):
			s.call(t, host, "1", "userfieldconfig.delete", map[string]any{"moduleId": "crm", "id": f.ID}, &done)
		case strings.HasSuffix(f.FieldName, "_STATUS"):
			s.dropOption(t, host, f.ID)
		}
	}
	s.call(t, host, "1", "event.unbind", map[string]any{"event": "ONCRMDEALDELETE", "handler": "http://app.localhost/bitrix24/events"}, &done)
	s.call(t, host, "1", "placement.unbind", map[string]any{"PLACEMENT": "CRM_DEAL_DETAIL_TAB"}, &done)
	s.call(t, host, "1", "bizproc.robot.delete", map[string]any{"CODE": crm.RobotWait}, &done)
}

func (s standIn) dropOption(t *testing.T, host, field string) {
	var got struct {
		Field struct {
			Enum []map[string]any `json:"enum"`
		} `json:"field"`
	}
	s.call(t, host, "1", "userfieldconfig.get", map[string]any{"moduleId": "crm", "id": field}, &got)
	require.NotEmpty(t, got.Field.Enum)
	gone := map[string]any{"id": got.Field.Enum[0]["id"], "del": "Y"}
	var done any
	s.call(t, host, "1", "userfieldconfig.update", map[string]any{"moduleId": "crm", "id": field,
		"field": map[string]any{"userTypeId": "enumeration", "enum": []any{gone}}}, &done)
}

func (s standIn) view(t *testing.T, host, id string) crmtest.View {
	t.Helper()
	deal, ok := s.Portal(host).Deal(id)
	require.True(t, ok, "no deal %s in the stand-in", id)
	v := crmtest.View{Fields: map[string]string{}, Own: map[string]string{}, Place: crmtest.Place{Pipeline: deal.Pipeline, Stage: deal.Stage}}
	for _, key := range crm.FieldKeys {
		text, _ := deal.Fields["UF_CRM_DEAL_DEALPAY_"+strings.ToUpper(key)].(string)
		v.Fields[key] = neutral(t, key, text)
	}
	for _, f := range own {
		switch text, _ := deal.Fields[f.ID].(string); {
		case text == "":
		case f.Type == crm.MoneyField:
			v.Own[f.ID] = neutral(t, "paid", text)
		case f.Type == crm.DateTimeField:
			v.Own[f.ID] = neutral(t, "paid_at", text)
		case f.Type == crm.DateField:
			v.Own[f.ID] = text[:10]
		default:
			v.Own[f.ID] = text
		}
	}
	for _, n := range deal.Notes {
		v.Notes = append(v.Notes, crmtest.Note{ID: n.ID, Text: n.Text})
	}
	for _, task := range deal.Tasks {
		var row struct {
			Owner string `json:"RESPONSIBLE_ID"`
		}
		s.call(t, host, "1", "crm.activity.get", map[string]any{"id": task.ID}, &row)
		v.Tasks = append(v.Tasks, crmtest.Task{ID: task.ID, Text: task.Text, OwnerID: row.Owner, Done: task.Done})
	}
	return v
}

// neutral turns Bitrix24's "150000.00|AMD" and its dates into the suite's words.
func neutral(t *testing.T, key, value string) string {
	if strings.HasSuffix(key, "_at") && value != "" {
		at, err := time.Parse(time.RFC3339, value)
		require.NoError(t, err)
		return at.UTC().Format(time.RFC3339)
	}
	if key == "paid" || key == "refunded" || key == "outstanding" {
		return strings.Replace(value, "|", " ", 1)
	}
	return value
}

// own are the fields that every portal is seeded with.
var own = []crm.Field{
	{ID: "UF_CRM_1721244707103", Name: "Accounting: balance", Type: crm.NumberField, Writable: true},
	{ID: "UF_CRM_1721244707106", Name: "Accounting: day", Type: crm.DateField, Writable: true},
	{ID: "UF_CRM_1721244707104", Name: "Accounting: link", Type: crm.LinkField, Writable: true},
	{ID: "UF_CRM_1721244707102", Name: "Accounting: received", Type: crm.MoneyField, Writable: true},
	{ID: "UF_CRM_1721244707105", Name: "Accounting: received at", Type: crm.DateTimeField, Writable: true},
	{ID: "UF_CRM_1721244707101", Name: "Accounting: status", Type: crm.TextField, Writable: true},
	{ID: "UF_CRM_1721244707107", Name: "Colours", Type: crm.OtherField, Writable: true},
}

func open(t *testing.T) crmtest.Fixture {
	s := start(t)
	deals := []string{}
	for i := 1; i <= 3; i++ {
		deals = append(deals, strconv.Itoa(i))
	}
	return crmtest.Fixture{Site: s.site(t, "acme.bitrix24.com"), Other: s.site(t, "other.bitrix24.com"), Deals: deals, Gone: "987654",
		Known: crm.Deal{ID: "1", Title: "Order 1001", Amount: crm.Money{Decimal: "150000", Currency: "AMD"}, Pipeline: "0", Stage: "NEW",
			OwnerID: "2", Contact: crm.Contact{Key: "contact 1", Name: "Customer 1", Phone: "+12025550101", Email: "customer1@example.com"}},
		Own: own, Lost: "UF_CRM_1700000000000",
		Move:    [2]crmtest.Place{{Pipeline: "0", Stage: "EXECUTING"}, {Pipeline: "1", Stage: "C1:WON"}},
		Manager: "2", Outsider: "3", NoteCall: "crm.timeline.comment.add", TaskCall: "crm.activity.todo.add"}
}

func TestBitrix24KeepsThePortsPromises(t *testing.T) { crmtest.Run(t, open) }
