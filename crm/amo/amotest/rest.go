package amotest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// call is one authenticated REST request. The account's lock is held while it is served.
type call struct {
	*Account
	r    *http.Request
	ids  []int64 // numbers in the path, in order
	name string  // other variable part of the path
	user *user   // whose rights apply
	at   int64
	url  string // the account's address

	asked   url.Values
	filters map[string]map[string]bool // by the name of a filter
}

// answer is a status with a HAL body, or a problem when it has a status of 400 or more.
type answer struct {
	status int
	body   any
}

func refuse(status int, detail string) *answer { return &answer{status, problem(status, detail)} }

var empty = &answer{http.StatusNoContent, nil}

func forbidden() *answer { return refuse(http.StatusForbidden, "Forbidden") }

type route struct {
	method, path string // "#" stands for a number, "*" for any part
	serve        func(*call) *answer
}

// routes is the part of REST v4 that the stand-in knows.
var routes []route

func init() {
	routes = []route{
		{"GET", "account", (*call).getAccount},
		{"GET", "users", (*call).listUsers},
		{"GET", "users/#", (*call).getUser},
		{"GET", "leads", (*call).listLeads},
		{"POST", "leads", (*call).addLeads},
		{"PATCH", "leads", (*call).patchLeads},
		{"GET", "leads/#", (*call).getLead},
		{"PATCH", "leads/#", (*call).patchLead},
		{"GET", "leads/pipelines", (*call).listPipelines},
		{"GET", "leads/pipelines/#", (*call).getPipeline},
		{"GET", "leads/pipelines/#/statuses", (*call).listStatuses},
		{"GET", "leads/pipelines/#/statuses/#", (*call).getStatus},
		{"GET", "*/custom_fields", (*call).listFields},
		{"POST", "*/custom_fields", (*call).addFields},
		{"GET", "*/custom_fields/#", (*call).getField},
		{"PATCH", "*/custom_fields/#", (*call).patchField},
		{"DELETE", "*/custom_fields/#", (*call).deleteField},
		{"GET", "leads/notes", (*call).listNotes},
		{"POST", "leads/notes", (*call).addNotes},
		{"GET", "leads/notes/#", (*call).getNote},
		{"GET", "leads/#/notes", (*call).listNotes},
		{"POST", "leads/#/notes", (*call).addNotes},
		{"GET", "leads/#/notes/#", (*call).getNote},
		{"PATCH", "leads/#/notes/#", (*call).patchNote},
		{"GET", "tasks", (*call).listTasks},
		{"POST", "tasks", (*call).addTasks},
		{"PATCH", "tasks", (*call).patchTasks},
		{"GET", "tasks/#", (*call).getTask},
		{"PATCH", "tasks/#", (*call).patchTask},
		{"GET", "leads/tags", (*call).listTags},
		{"POST", "leads/tags", (*call).addTags},
		{"GET", "leads/links", (*call).massLinks},
		{"GET", "leads/#/links", (*call).listLinks},
		{"POST", "leads/#/link", (*call).addLinks},
		{"POST", "leads/#/unlink", (*call).removeLinks},
		{"GET", "contacts", (*call).listContacts},
		{"GET", "contacts/#", (*call).getContact},
		{"GET", "webhooks", (*call).listWebhooks},
		{"POST", "webhooks", (*call).addWebhook},
		{"DELETE", "webhooks", (*call).removeWebhook},
		{"GET", "events", (*call).listEvents},
		{"GET", "catalogs", (*call).listCatalogs},
		{"GET", "widgets/*", (*call).getWidget},
		{"POST", "bots/run", (*call).runBots},
		{"POST", "bots/#/run", (*call).runBot},
		{"POST", "salesbot/#/continue/#", (*call).continueBot},
		{"POST", "short_links", (*call).addShortLinks},
	}
}

// find returns the route of a request; known says that the path exists with another method.
func find(method, path string) (serve func(*call) *answer, ids []int64, name string, known bool) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(path, "/api/v4"), "/"), "/")
	for _, rt := range routes {
		gotIDs, gotName, ok := match(strings.Split(rt.path, "/"), parts)
		if !ok {
			continue
		}
		if known = true; rt.method == method {
			return rt.serve, gotIDs, gotName, true
		}
	}
	return nil, nil, "", known
}

func match(pattern, parts []string) (ids []int64, name string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, "", false
	}
	for i, want := range pattern {
		switch n, err := strconv.ParseInt(parts[i], 10, 64); {
		case want == "#" && err == nil:
			ids = append(ids, n)
		case want == "*" && err != nil:
			name = parts[i]
		case want != parts[i]:
			return nil, "", false
		}
	}
	return ids, name, true
}

// serveREST checks, in the product's order: token, limits, path, body type, tariff.
func (a *Account) serveREST(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", uuid.NewString())
	if a.limited(w, r, a.server.config.ClientID) {
		return
	}
	url := a.URL()
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &call{Account: a, r: r, at: a.now().Unix(), url: url}
	out := c.dispatch()
	switch {
	case out.status >= http.StatusBadRequest:
		writeProblem(w, out.body.(map[string]any))
	case out.body == nil:
		w.WriteHeader(out.status)
	default:
		w.Header().Set("Content-Type", "application/hal+json")
		w.WriteHeader(out.status)
		_ = json.NewEncoder(w).Encode(out.body)
	}
}

func (c *call) dispatch() *answer {
	if denied := c.authenticate(); denied != nil {
		return denied
	}
	serve, ids, name, known := find(c.r.Method, c.r.URL.Path)
	switch {
	case serve == nil && known:
		return refuse(http.StatusMethodNotAllowed, "Method Not Allowed")
	case serve == nil:
		return refuse(http.StatusNotFound, fmt.Sprintf("Cannot %s %s%s", c.r.Method, c.url, c.r.URL.Path))
	}
	c.ids, c.name = ids, name
	if c.r.Method != http.MethodGet {
		if !c.switches.Paid {
			return refuse(http.StatusPaymentRequired, "Payment required")
		}
		if t := c.r.Header.Get("Content-Type"); !strings.HasPrefix(t, "application/json") && c.r.Method != http.MethodDelete {
			return refuse(http.StatusUnsupportedMediaType, "Unsupported Media Type")
		}
	}
	return serve(c)
}

// authenticate finds whose rights apply: the token's user, or with X-Context-User-ID another
// one when an administrator granted the token.
func (c *call) authenticate() *answer {
	p := c.live(bearer(c.r))
	if p == nil {
		return refuse(http.StatusUnauthorized, c.server.config.Variant.words().login)
	}
	c.user = c.Account.user(p.user)
	if as := c.r.Header.Get("X-Context-User-ID"); as != "" {
		id, _ := strconv.ParseInt(as, 10, 64)
		if !c.user.admin {
			return forbidden()
		}
		if c.user = c.Account.user(id); c.user == nil || c.user.free {
			return refuse(http.StatusUnauthorized, c.server.config.Variant.words().login)
		}
	}
	return nil
}

// may reports whether a letter of access covers an entity of this owner and group.
func (c *call) may(letter string, owner, group int64) bool {
	switch letter {
	case "A":
		return true
	case "G":
		return group == c.user.group
	case "M":
		return owner == c.user.id
	}
	return c.user.admin
}

func (c *call) sees(l *lead) bool  { return c.may(c.user.leads.View, l.responsible, l.group) }
func (c *call) edits(l *lead) bool { return c.may(c.user.leads.Edit, l.responsible, l.group) }

// self is a _links object for a path below /api/v4.
func (c *call) self(path string, parts ...any) map[string]any {
	return map[string]any{"self": map[string]any{"href": c.url + "/api/v4/" + fmt.Sprintf(path, parts...)}}
}
