// Package standintest is what every stand-in server shares: an injected clock,
// faults on request, a log of what was received, counters of the limits it
// enforces, and the HTTP control API under /_control.
//
// A stand-in is a real HTTP server with state that speaks a documented
// protocol. It embeds a [Control], sends its protocol traffic through
// [Control.Wrap] and asks [Control.Take] where a fault belongs to the protocol
// itself (a revoked token, a doubled webhook).
package standintest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind names a misbehaviour that can be asked for.
type Kind string

// The misbehaviours. Throttle, Slow, Late, Down, HTMLError, DropAfterCommit, HTMLPage and
// Truncated are applied by [Control.Wrap]; the others belong to the stand-in, which asks for
// them with [Control.Take].
const (
	Throttle        Kind = "throttle"          // answer as the real limit would
	Slow            Kind = "slow"              // wait MS before answering
	Late            Kind = "late"              // do the work after MS, also when the caller is gone by then
	Down            Kind = "down"              // 502 without touching state
	DropAfterCommit Kind = "drop_after_commit" // do the work, then cut the connection
	Duplicate       Kind = "duplicate"         // deliver a notice or event twice
	Reorder         Kind = "reorder"           // deliver notices or events out of order
	Forge           Kind = "forge"             // deliver a notice with a wrong signature
	Revoke          Kind = "revoke"            // tokens die
	HTMLError       Kind = "html_error"        // 403 with an nginx HTML page
	HTMLPage        Kind = "html_page"         // do the work, then answer 200 with an HTML page
	Truncated       Kind = "truncated"         // do the work, then answer with the first half of the body, as if it were whole
)

var kinds = map[Kind]bool{Throttle: true, Slow: true, Late: true, Down: true, DropAfterCommit: true,
	Duplicate: true, Reorder: true, Forge: true, Revoke: true, HTMLError: true, HTMLPage: true, Truncated: true}

// Fault is one order to misbehave, for the next Count matching requests.
type Fault struct {
	Kind  Kind   `json:"kind"`
	Count int    `json:"count,omitempty"`
	MS    int    `json:"ms"`
	Match string `json:"match"` // part of "METHOD /path" or of the called API method; empty for any
}

// Request is one received protocol request.
type Request struct {
	At     time.Time `json:"at"` // real time, not the stand-in's clock
	Method string    `json:"method"`
	Host   string    `json:"host"`
	Path   string    `json:"path"`
	Query  string    `json:"query,omitempty"` // secrets are the demo's own
	Body   string    `json:"body,omitempty"`  // first 64 KiB
	Status int       `json:"status"`          // 0 when the connection was cut
}

// Control is the shared part of a stand-in. Make one with [New].
type Control struct {
	// Clock is what the stand-in tells the time by.
	Clock *Clock
	// State returns what GET /_control/state answers; it does its own locking.
	State func() any
	// Reset brings the stand-in back to its seed; it does its own locking.
	Reset func()
	// OnThrottle answers a request refused by a throttle fault; nil means a bare 429.
	OnThrottle http.HandlerFunc
	// OnFault is told of each new fault (a stand-in acts on "revoke" at once); may be nil.
	OnFault func(Fault)
	// Label adds what a fault's match and the log may also look at (the API method
	// of a batch, say); nil means only "METHOD /path".
	Label func(r *http.Request, body []byte) string
	// Idle says whether everything that is due by the clock was sent and answered; nil when the stand-in sends nothing.
	Idle func() bool

	Limits Limits

	mu       sync.Mutex
	faults   []Fault
	requests []Request
}

// New returns a control with a running clock.
func New() *Control { return &Control{Clock: &Clock{}} }

const keptRequests = 100_000

// Take consumes one pending fault of this kind that matches what, and reports whether there was one.
func (c *Control) Take(kind Kind, what string) (Fault, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.faults {
		f := &c.faults[i]
		if f.Kind != kind || f.Count == 0 || !strings.Contains(what, f.Match) {
			continue
		}
		f.Count--
		taken := *f
		if f.Count == 0 {
			c.faults = append(c.faults[:i], c.faults[i+1:]...)
		}
		return taken, true
	}
	return Fault{}, false
}

// Order adds a fault, as POST /_control/faults does; there Count 0 takes pending ones back, here it means 1. A negative
// Count means until reset.
func (c *Control) Order(f Fault) error {
	if !kinds[f.Kind] {
		return errors.New("unknown fault kind " + string(f.Kind))
	}
	if f.Count == 0 {
		f.Count = 1
	}
	c.mu.Lock()
	c.faults = append(c.faults, f)
	c.mu.Unlock()
	if c.OnFault != nil {
		c.OnFault(f)
	}
	return nil
}

// withdraw takes pending faults of a kind back, those with this match or, without one, all of them.
func (c *Control) withdraw(of Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = slices.DeleteFunc(c.faults, func(f Fault) bool { return f.Kind == of.Kind && (of.Match == "" || f.Match == of.Match) })
}

// Requests returns what was received so far, in order.
func (c *Control) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Request{}, c.requests...)
}

func (c *Control) note(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.requests) >= keptRequests {
		c.requests = append(c.requests[:0], c.requests[keptRequests/2:]...)
	}
	c.requests = append(c.requests, r)
}

func (c *Control) clear() {
	c.mu.Lock()
	c.faults, c.requests = nil, nil
	c.mu.Unlock()
	c.Limits.Reset()
	c.Clock.Reset()
	if c.Reset != nil {
		c.Reset()
	}
}

// Wrap logs protocol requests and applies the faults that need no knowledge of the protocol.
func (c *Control) Wrap(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
		if err != nil {
			http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		what := r.Method + " " + r.URL.Path
		if c.Label != nil {
			what += " " + c.Label(r, body)
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			c.note(Request{At: at, Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery,
				Body: string(body[:min(len(body), 64<<10)]), Status: rec.status})
		}()
		c.serve(rec, r, what, api)
	})
}

func (c *Control) serve(rec *recorder, r *http.Request, what string, api http.Handler) {
	if f, ok := c.Take(Slow, what); ok {
		select {
		case <-time.After(time.Duration(f.MS) * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	if f, ok := c.Take(Late, what); ok {
		time.Sleep(time.Duration(f.MS) * time.Millisecond)
		r = r.WithContext(context.WithoutCancel(r.Context()))
	}
	if f, ok := c.Take(Down, what); ok {
		time.Sleep(time.Duration(f.MS) * time.Millisecond)
		http.Error(rec, "<html><body><h1>502 Bad Gateway</h1></body></html>", http.StatusBadGateway)
		return
	}
	if _, ok := c.Take(HTMLError, what); ok {
		rec.Header().Set("Content-Type", "text/html")
		rec.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(rec, "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body><center><h1>403 Forbidden</h1></center><hr><center>nginx</center></body>\r\n</html>")
		return
	}
	if _, ok := c.Take(Throttle, what); ok {
		if c.OnThrottle != nil {
			c.OnThrottle(rec, r)
			return
		}
		http.Error(rec, "too many requests", http.StatusTooManyRequests)
		return
	}
	if _, ok := c.Take(DropAfterCommit, what); ok {
		api.ServeHTTP(&discard{header: http.Header{}}, r)
		rec.status = 0
		panic(http.ErrAbortHandler)
	}
	if _, ok := c.Take(HTMLPage, what); ok {
		api.ServeHTTP(&discard{header: http.Header{}}, r)
		rec.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(rec, "<!doctype html><html><head><title>Please wait</title></head><body>Checking your browser</body></html>")
		return
	}
	if _, ok := c.Take(Truncated, what); ok {
		whole := &kept{header: rec.Header(), status: http.StatusOK}
		api.ServeHTTP(whole, r)
		rec.Header().Del("Content-Length")
		rec.WriteHeader(whole.status)
		_, _ = rec.Write(whole.body[:len(whole.body)/2])
		return
	}
	api.ServeHTTP(rec, r)
}

// kept holds an answer back.
type kept struct {
	header http.Header
	status int
	body   []byte
}

func (k *kept) Header() http.Header    { return k.header }
func (k *kept) WriteHeader(status int) { k.status = status }

func (k *kept) Write(p []byte) (int, error) {
	k.body = append(k.body, p...)
	return len(p), nil
}

// Handler answers the control API; mount it at /_control/ (the prefix is kept in the path).
// The stand-in may register more routes on the returned mux.
func (c *Control) Handler() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_control/clock", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Advance any   `json:"advance"` // Go duration, such as "90m", or a number of seconds
			Seconds int64 `json:"seconds"`
			MS      int64 `json:"ms"`
		}
		if !Decode(w, r, &in) {
			return
		}
		d := time.Duration(in.Seconds)*time.Second + time.Duration(in.MS)*time.Millisecond
		switch by := in.Advance.(type) {
		case string:
			more, err := time.ParseDuration(by)
			if err != nil {
				Answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
				return
			}
			d += more
		case float64:
			d += time.Duration(by * float64(time.Second))
		}
		c.Clock.Advance(d)
		Answer(w, http.StatusOK, map[string]any{"now": c.Clock.Now().UTC()})
	})
	mux.HandleFunc("POST /_control/faults", func(w http.ResponseWriter, r *http.Request) {
		f := Fault{Count: 1}
		if !Decode(w, r, &f) {
			return
		}
		if f.Count == 0 && kinds[f.Kind] {
			c.withdraw(f)
			Answer(w, http.StatusOK, f)
			return
		}
		if err := c.Order(f); err != nil {
			Answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		Answer(w, http.StatusOK, f)
	})
	mux.HandleFunc("GET /_control/requests", func(w http.ResponseWriter, _ *http.Request) { Answer(w, http.StatusOK, c.Requests()) })
	mux.HandleFunc("GET /_control/limits", func(w http.ResponseWriter, _ *http.Request) { Answer(w, http.StatusOK, c.Limits.Snapshot()) })
	mux.HandleFunc("GET /_control/state", func(w http.ResponseWriter, _ *http.Request) { Answer(w, http.StatusOK, c.State()) })
	mux.HandleFunc("POST /_control/reset", func(w http.ResponseWriter, _ *http.Request) {
		c.clear()
		Answer(w, http.StatusOK, map[string]bool{"ok": true})
	})
	return mux
}

// Answer writes v as JSON.
func Answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Decode reads a JSON body into v; on failure it answers 400 and returns false.
func Decode(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(v); err != nil && !errors.Is(err, io.EOF) {
		Answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return false
	}
	return true
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
