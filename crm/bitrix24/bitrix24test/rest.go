package bitrix24test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Execution time that a call is booked with besides its real one, in place of the
// database a real portal has. SetCost changes it per method.
const (
	readCost  = 2 * time.Millisecond
	writeCost = 10 * time.Millisecond
)

// zone is the portal's time zone; dates carry its offset.
var zone = time.FixedZone("", 4*60*60)

// stamp writes a moment as REST does.
func stamp(t time.Time) string { return t.In(zone).Format("2006-01-02T15:04:05-07:00") }

// call is one executed method.
type call struct {
	p      *Portal
	user   *user
	method string
	params params
	keys   []string // keys of cmd, in order
	now    time.Time

	total, next int // of list methods; -1 is absent
}

// method is a REST method. scope holds alternatives separated by |, empty is basic.
type method struct {
	scope string
	write bool
	run   func(*call) (any, *restError)
}

// restError is a documented refusal. code is a string or, in a few old methods, a number.
type restError struct {
	status int
	code   any
	text   string
	extra  params
}

func (e *restError) Error() string { return fmt.Sprintf("%d %v: %s", e.status, e.code, e.text) }

func (e *restError) body() params {
	out := params{"error": e.code, "error_description": e.text}
	maps.Copy(out, e.extra)
	return out
}

func bad(code any, text string) *restError { return &restError{status: 400, code: code, text: text} }

// System errors (page "Error Codes").
var (
	errQueryLimit  = &restError{status: 503, code: "QUERY_LIMIT_EXCEEDED", text: "Too many requests"}
	errOperation   = &restError{status: 429, code: "OPERATION_TIME_LIMIT", text: "Method is blocked due to operation time limit"}
	errNoAuth      = &restError{status: 401, code: "NO_AUTH_FOUND", text: "Wrong authorization data"}
	errExpired     = &restError{status: 401, code: "expired_token", text: "The access token provided has expired."}
	errScope       = &restError{status: 403, code: "insufficient_scope", text: "The request requires higher privileges than provided by the access token"}
	errNoMethod    = &restError{status: 404, code: "ERROR_METHOD_NOT_FOUND", text: "Method not found!"}
	errNotAdmin    = &restError{status: 403, code: "ACCESS_DENIED", text: "Access denied!"}
	errDenied      = bad("ACCESS_DENIED", "Access denied")
	errOldDenied   = bad("", "Access denied.")
	errOldNotFound = bad("", "Not found")
	errOldID       = bad("", "ID is not defined or invalid")
)

// adminOnly refuses everybody but administrators.
func adminOnly(run func(*call) (any, *restError)) func(*call) (any, *restError) {
	return func(c *call) (any, *restError) {
		if !c.user.admin {
			return nil, errNotAdmin
		}
		return run(c)
	}
}

func missing(name string) *restError {
	return bad("100", "Could not find value for parameter {"+name+"}")
}

func allMethods() map[string]method {
	all := map[string]method{"batch": {run: runBatch}}
	for _, group := range []map[string]method{systemMethods, eventMethods, placementMethods, dealMethods,
		itemMethods, catalogMethods, fieldMethods, timelineMethods, activityMethods, robotMethods} {
		maps.Copy(all, group)
	}
	return all
}

// serveREST answers /rest/<method>[.json] (page "How to Call REST API Methods").
func (p *Portal) serveREST(w http.ResponseWriter, r *http.Request) {
	now := p.Control.Clock.Now()
	body, err := io.ReadAll(r.Body)
	in, keys, wrong := decodeParams(r, body)
	if err != nil || wrong != nil {
		refuse(w, bad("INVALID_REQUEST", "Invalid JSON"))
		return
	}
	p.mu.Lock()
	admitted := p.bucket.admit(now, p.plan)
	p.mu.Unlock()
	p.Control.Limits.Count(admitted)
	if !admitted {
		refuse(w, errQueryLimit)
		return
	}
	name := restMethod(r.URL.Path)
	p.mu.Lock()
	defer p.mu.Unlock()
	u, refused := p.authorize(text(in["auth"]), now)
	if refused != nil {
		refuse(w, refused)
		return
	}
	c := &call{p: p, user: u, method: name, params: in, keys: keys, now: now, total: -1, next: -1}
	result, refused := c.execute()
	if refused != nil {
		refuse(w, refused)
		return
	}
	answer(w, http.StatusOK, c.envelope(result))
}

func restMethod(path string) string {
	name := strings.ToLower(strings.Trim(strings.TrimPrefix(path, "/rest/"), "/"))
	name = strings.TrimSuffix(name, ".json")
	return strings.TrimSuffix(name, ".xml")
}

// execute runs a method under the portal's lock, within its limits and the app's scope.
func (c *call) execute() (any, *restError) {
	m, ok := c.p.srv.methods[c.method]
	if !ok {
		return nil, errNoMethod
	}
	if !c.p.granted(m.scope) {
		return nil, errScope
	}
	if c.method == "batch" { // not accounted for in operating; its commands are
		return m.run(c)
	}
	if sum, _ := c.p.operating.sum(c.method, c.now); sum > operatingLimit {
		return nil, errOperation
	}
	began := time.Now()
	result, refused := m.run(c)
	cost, ok := c.p.costs[c.method]
	if !ok {
		cost = readCost
		if m.write {
			cost = writeCost
		}
	}
	c.p.operating.add(c.method, c.now, cost+time.Since(began))
	return result, refused
}

// granted reports whether one of the scopes separated by | was given to the app.
func (p *Portal) granted(scope string) bool {
	have := strings.Split(p.srv.cfg.Scope, ",")
	return scope == "" || slices.ContainsFunc(strings.Split(scope, "|"), func(s string) bool { return slices.Contains(have, s) })
}

func (c *call) envelope(result any) params {
	out := params{"result": result, "time": c.time(true)}
	if c.total >= 0 {
		out["total"] = c.total
	}
	if c.next >= 0 {
		out["next"] = c.next
	}
	return out
}

// time is the object of page "Data Types", time; batch commands carry it as well.
func (c *call) time(outer bool) params {
	finish := c.p.Control.Clock.Now()
	seconds := func(t time.Time) float64 { return math.Round(float64(t.UnixMicro())) / 1e6 }
	took := max(0, finish.Sub(c.now).Seconds())
	out := params{"start": seconds(c.now), "finish": seconds(finish), "duration": took, "processing": took,
		"date_start": stamp(c.now), "date_finish": stamp(finish)}
	if c.method == "batch" && outer {
		return out
	}
	sum, reset := c.p.operating.sum(c.method, c.now)
	if reset.IsZero() {
		reset = c.now.Add(operatingWindow)
	}
	out["operating"], out["operating_reset_at"] = sum.Seconds(), reset.Unix()
	return out
}

// page cuts one page out of rows and sets total and next. start -1 switches counting off
// (page "Fetching Large Volumes of Data").
func page[T any](c *call, rows []T, size int) []T {
	if text(c.params["start"]) == "-1" {
		return rows[:min(size, len(rows))]
	}
	at := min(number(c.params["start"]), len(rows))
	c.total = len(rows)
	if at+size < len(rows) {
		c.next = at + size
	}
	return rows[at:min(at+size, len(rows))]
}

func refuse(w http.ResponseWriter, e *restError) { answer(w, e.status, e.body()) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
