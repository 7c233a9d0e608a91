package amo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

// odd is a CRM that answers what a test wants it to: the cases that a well-behaved stand-in does not show.
type odd struct {
	mu    sync.Mutex
	calls []string
	serve func(w http.ResponseWriter, r *http.Request, body []byte)
}

type oneToken string

func (o oneToken) Token(context.Context) (string, error)           { return string(o), nil }
func (o oneToken) Refresh(context.Context, string) (string, error) { return string(o), nil }

func (o *odd) open(t *testing.T, change func(*Config)) *Account {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		o.calls = append(o.calls, r.Method+" "+r.URL.Path)
		o.mu.Unlock()
		o.serve(w, r, body)
	}))
	t.Cleanup(web.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, web.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := Config{Variant: AmoCRM, Domain: "acme.amocrm.ru.localhost", HTTP: &http.Client{Transport: transport},
		Tokens: oneToken("t"), Now: func() time.Time { return noon }}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/hal+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// sentElements are the elements of an array write, by lead id.
func sentElements(t *testing.T, body []byte) (ids []string) {
	t.Helper()
	var elements []struct {
		ID     json.Number `json:"id"`
		Entity json.Number `json:"entity_id"`
	}
	require.NoError(t, json.Unmarshal(body, &elements))
	for _, e := range elements {
		ids = append(ids, e.ID.String()+e.Entity.String())
	}
	return ids
}

func accepted(list string, ids []string) string {
	var b strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&b, `,{"id": %s, "request_id": %d}`, id, i)
	}
	return fmt.Sprintf(`{"_embedded": {%q: [%s]}}`, list, strings.TrimPrefix(b.String(), ","))
}

func states(n int) []crm.Change {
	changes := make([]crm.Change, n)
	for i := range changes {
		changes[i] = crm.Change{Deal: fmt.Sprint(i + 1), State: &crm.State{Status: crm.Paid}}
	}
	return changes
}

func TestAPoisonedElementIsIsolatedWithoutBeingNamed(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.Method == http.MethodGet {
			reply(w, 200, `{"id": 33}`)
			return
		}
		ids := sentElements(t, body)
		for _, id := range ids {
			if id == "33" {
				reply(w, 400, `{"title": "Bad Request", "status": 400, "detail": "Invalid request body"}`)
				return
			}
		}
		reply(w, 200, accepted("leads", ids))
	}
	got := o.open(t, nil).Apply(t.Context(), states(50))
	for i, v := range got {
		if i == 32 {
			require.Equal(t, crm.Refused, crm.ClassOf(v.Err))
			continue
		}
		require.NoError(t, v.Err, "%d", i)
	}
	require.Less(t, len(o.calls), 16, "halving, not one by one")
}

func TestAnElementNamedByItsLeadIsLeftOut(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch {
		case r.Method == http.MethodGet:
			reply(w, 200, `{"id": 3}`)
		case strings.Contains(string(body), `"id":3,`):
			reply(w, 400, `{"errors": {"3": "Loss reason can be specified only for lost lead"}, "status": 400}`)
		default:
			reply(w, 200, accepted("leads", sentElements(t, body)))
		}
	}
	got := o.open(t, nil).Apply(t.Context(), states(5))
	require.Equal(t, crm.Refused, crm.ClassOf(got[2].Err))
	require.NoError(t, got[4].Err)
	require.Equal(t, []string{"PATCH /api/v4/leads", "GET /api/v4/leads/3", "PATCH /api/v4/leads"}, o.calls)
}

func TestAnElementWithoutAnAnswerIsNotDone(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch {
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/2"):
			w.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodGet:
			reply(w, 200, `{"id": 3}`)
		case strings.HasSuffix(r.URL.Path, "/notes"):
			reply(w, 200, `{"_embedded": {"notes": [{"id": 901, "request_id": "0"}]}}`)
		default:
			reply(w, 200, `{"_embedded": {"leads": [{"id": 1}]}}`) // no request_id at all
		}
	}
	a := o.open(t, nil)
	got := a.Apply(t.Context(), states(3))
	require.NoError(t, got[0].Err)
	require.Equal(t, crm.Gone, crm.ClassOf(got[1].Err))
	require.Equal(t, crm.Transient, crm.ClassOf(got[2].Err))

	note := func(deal string) crm.Change {
		return crm.Change{Deal: deal, Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-" + deal}}
	}
	got = a.Apply(t.Context(), []crm.Change{note("1"), note("3")})
	require.Equal(t, "901", got[0].RemoteID)
	require.True(t, asCRM(got[1].Err).Ambiguous, "it may have been made")
}

func TestATimedOutWriteIsRepeatedInHalves(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, _ *http.Request, body []byte) {
		ids := sentElements(t, body)
		if len(ids) > 25 {
			reply(w, 504, "<html>504</html>")
			return
		}
		reply(w, 200, accepted("leads", ids))
	}
	for _, v := range o.open(t, nil).Apply(t.Context(), states(50)) {
		require.NoError(t, v.Err)
	}
	require.Len(t, o.calls, 3)
}

func TestWhatWouldMeetTheSameAnswerIsNotSent(t *testing.T) {
	o := &odd{serve: func(w http.ResponseWriter, _ *http.Request, _ []byte) { reply(w, 429, `{"retry_after": 7}`) }}
	got := o.open(t, nil).Apply(t.Context(), append(states(120), crm.Change{Deal: "1", Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-1"}}))
	for _, v := range got {
		e := asCRM(v.Err)
		require.Equal(t, crm.Throttled, e.Class)
		require.Equal(t, 7*time.Second, e.RetryAfter)
		require.False(t, e.Ambiguous)
	}
	require.Len(t, o.calls, 1)
}

func TestALaterStateStandsForAnEarlierOneOnlyWhenItIsTaken(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch {
		case r.Method == http.MethodGet:
			reply(w, 200, `{"id": 1}`)
		case strings.Contains(string(body), `"status_id":999`):
			reply(w, 400, `{"validation-errors": [{"request_id": "0", "errors": [{"code": "NotSupportedChoice", "path": "status_id"}]}]}`)
		default:
			reply(w, 200, accepted("leads", sentElements(t, body)))
		}
	}
	got := o.open(t, nil).Apply(t.Context(), []crm.Change{
		{Deal: "1", State: &crm.State{Status: crm.AwaitingPayment}},
		{Deal: "1", State: &crm.State{Status: crm.Paid, Stage: "999"}},
	})
	require.NoError(t, got[0].Err)
	require.Equal(t, crm.Refused, crm.ClassOf(got[1].Err))
}

func TestDeletedFieldsAreMadeAgainOnce(t *testing.T) {
	lost, posted := true, 0
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch r.Method + " " + r.URL.Path {
		case "PATCH /api/v4/leads":
			if lost {
				reply(w, 400, `{"validation-errors": [{"request_id": "0", "errors": [{"code": "NotSupportedChoice", "path": "custom_fields_values.4.field_code"}]}]}`)
				return
			}
			reply(w, 200, accepted("leads", sentElements(t, body)))
		case "GET /api/v4/leads/custom_fields":
			if lost {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			reply(w, 200, listedFields())
		case "POST /api/v4/leads/custom_fields":
			posted++
			lost = false
			reply(w, 201, `{}`)
		}
	}
	got := o.open(t, nil).Apply(t.Context(), states(2))
	require.NoError(t, got[0].Err)
	require.NoError(t, got[1].Err)
	require.Equal(t, 1, posted)
}

// listedFields is a list of our fields as Setup wants them.
func listedFields() string {
	a := New(Config{})
	var fields []map[string]any
	for i, key := range fieldKeys {
		f := a.newField(key, i)
		f["id"] = 100 + i
		if options, ok := f["enums"].([]option); ok {
			for n := range options {
				options[n].ID = json.Number(fmt.Sprint(1000 + n))
			}
		}
		fields = append(fields, f)
	}
	raw, err := json.Marshal(map[string]any{"_embedded": map[string]any{"custom_fields": fields}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestSetupLivesWithoutWebhooks(t *testing.T) {
	for _, status := range []int{402, 403} {
		o := &odd{}
		o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/custom_fields"):
				reply(w, 200, listedFields())
			case r.Method == http.MethodGet:
				w.WriteHeader(http.StatusNoContent)
			default:
				reply(w, status, `{"title": "not in this tariff"}`)
			}
		}
		l, err := o.open(t, func(c *Config) { c.EventsURL = "https://pay.example.com/hook" }).Setup(t.Context())
		require.NoError(t, err)
		require.NotContains(t, string(l), "events")
		require.Contains(t, string(l), `"paid":"1001"`)
	}
}

func TestSetupRepairsWhatPeopleChanged(t *testing.T) {
	var patched map[string]any
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.Method == http.MethodPatch {
			require.Equal(t, "/api/v4/leads/custom_fields/100", r.URL.Path)
			require.NoError(t, json.Unmarshal(body, &patched))
			reply(w, 200, `{"id": 100}`)
			return
		}
		fields := listedFields()
		if patched == nil { // an option was made anew by hand and has no code, and people may type
			fields = strings.Replace(fields, `"code":"paid",`, "", 1)
			fields = strings.Replace(fields, `"is_api_only":true`, `"is_api_only":false`, 1)
		}
		reply(w, 200, fields)
	}
	_, err := o.open(t, nil).Setup(t.Context())
	require.NoError(t, err)
	require.NotNil(t, patched)
	raw, err := json.Marshal(patched["enums"])
	require.NoError(t, err)
	require.Contains(t, string(raw), `"code":"paid","id":1001`)
	require.Len(t, patched["enums"], len(crm.Statuses), "nothing is lost or doubled")
}

func TestAForeignFieldUnderOurCodeIsNotOverwritten(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		reply(w, 200, strings.Replace(listedFields(), `"type":"url"`, `"type":"text"`, 1))
	}
	_, err := o.open(t, nil).Setup(t.Context())
	require.Equal(t, crm.Refused, crm.ClassOf(err))
	require.Contains(t, err.Error(), "DEALPAY_LINK")
}

func TestARedirectIsNotFollowedWithTheToken(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, "http://evil.example/api/v4/leads/1", http.StatusFound)
	}
	_, err := o.open(t, nil).Deal(t.Context(), "1")
	require.Equal(t, crm.Transient, crm.ClassOf(err))
	require.Len(t, o.calls, 1)
}

func TestListsAreReadToTheEnd(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		if r.URL.Query().Get("page") == "1" {
			reply(w, 200, `{"_links": {"next": {"href": "x"}}, "_embedded": {"notes": [{"id": 1, "params": {"text": "other"}}]}}`)
			return
		}
		reply(w, 200, `{"_embedded": {"notes": [{"id": 2, "entity_id": 9, "params": {"text": "DP-1"}}, {"id": 3, "entity_id": 5, "params": {"text": "paid DP-1"}}]}}`)
	}
	effect := &crm.Effect{Kind: crm.Note, Reference: "DP-1", Text: "paid DP-1", Ambiguous: true}
	got := o.open(t, nil).Apply(t.Context(), []crm.Change{{Deal: "5", Effect: effect}})
	require.Equal(t, []crm.Verdict{{RemoteID: "3"}}, got)
}

func TestTheSharedHostTellsTheNewName(t *testing.T) {
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		require.Equal(t, "api-b.amocrm.ru.localhost", r.Host)
		require.Equal(t, "refresh", r.Header.Get("X-Refresh-Token"))
		require.Empty(t, r.Header.Get("Authorization"))
		reply(w, 200, `{"id": 31234567, "subdomain": "example", "domain": "example.amocrm.ru", "top_level_domain": "ru"}`)
	}
	domain, err := o.open(t, func(c *Config) { c.APIDomain = "api-b.amocrm.ru.localhost" }).CurrentDomain(t.Context(), "refresh")
	require.NoError(t, err)
	require.Equal(t, "example.amocrm.ru", domain)
	_, err = o.open(t, nil).CurrentDomain(t.Context(), "refresh")
	require.Equal(t, crm.Refused, crm.ClassOf(err))
}

func TestQueriesAreWhatTheDocumentationNames(t *testing.T) {
	var query url.Values
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		query = r.URL.Query()
		w.WriteHeader(http.StatusNoContent)
	}
	_, err := o.open(t, nil).Deal(t.Context(), "1")
	require.Equal(t, crm.Gone, crm.ClassOf(err))
	require.Equal(t, "contacts", query.Get("with"))
}
