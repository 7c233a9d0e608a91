package bitrix24

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// envelope is every answer's outside (vendor documentation "REST call: response"). Error is nil when there is
// none; it may be a string, a number or empty.
type envelope struct {
	Result      json.RawMessage `json:"result"`
	Error       *text           `json:"error"`
	Description text            `json:"error_description"`
	Time        timing          `json:"time"`
}

// timing is the part of the time object that limits need; self-hosted portals may leave all of it out.
type timing struct {
	Operating text `json:"operating"`          // seconds
	ResetAt   text `json:"operating_reset_at"` // unix seconds
}

// UnmarshalJSON reads timing, and nothing when time is no object.
func (t *timing) UnmarshalJSON(b []byte) error {
	var o object
	if err := o.UnmarshalJSON(b); err != nil {
		return err
	}
	t.Operating, t.ResetAt = text(o.text("operating")), text(o.text("operating_reset_at"))
	return nil
}

// batchResult is the inside of a batch's answer. Every map of it is [] when empty.
type batchResult struct {
	Result object `json:"result"`
	Errors object `json:"result_error"`
	Next   object `json:"result_next"`
	Times  object `json:"result_time"`
}

// read takes an answer apart: what became of each command, and what the answer says about limits.
func (a *Account) read(r reply, cmds []command) ([]answer, crm.Pressure, *crm.Error) {
	var e envelope
	if fail := open(r, "batch", &e); fail != nil {
		a.bound(fail, "batch")
		return nil, pressureOf(fail), fail
	}
	p := crm.Pressure{Operating: map[string]time.Duration{}, OperatingResetAt: map[string]time.Time{}}
	a.book(&p, "batch", e.Time)
	var in batchResult
	if err := json.Unmarshal(e.Result, &in); err != nil {
		fail := unreadable("batch", err)
		fail.Ambiguous = true
		return nil, p, fail
	}
	got := make([]answer, len(cmds))
	for i, c := range cmds {
		var t timing
		if raw, ok := in.Times[key(i)]; ok && json.Unmarshal(raw, &t) == nil {
			a.book(&p, c.method, t)
		}
		got[i] = in.answer(key(i), c.method)
		if f := got[i].err; f != nil && f.Class == crm.Throttled {
			a.bound(f, c.method)
			p.Operating[c.method], p.OperatingResetAt[c.method] = operatingLimit, a.c.Now().Add(f.RetryAfter)
		}
	}
	return got, p, nil
}

func (in batchResult) answer(key, method string) answer {
	if raw, ok := in.Errors[key]; ok {
		var e envelope
		if err := json.Unmarshal(raw, &e); err != nil || e.Error == nil {
			return answer{err: classify(method, 0, "", string(e.Description))}
		}
		return answer{err: classify(method, 0, string(*e.Error), string(e.Description))}
	}
	raw, ok := in.Result[key]
	if !ok {
		return answer{err: &crm.Error{Class: crm.Transient, Op: method, Code: "NO_ANSWER", Ambiguous: true,
			Err: errors.New("the batch does not answer this command")}}
	}
	next, _ := strconv.Atoi(in.Next.text(key))
	return answer{result: raw, next: next}
}

// open reads the envelope of r into e, or classifies the failure.
func open(r reply, op string, e *envelope) *crm.Error {
	if r.status == http.StatusFound {
		return &crm.Error{Class: crm.Transient, Op: op, Code: "PORTAL_MOVED", Err: errors.New("the portal moved")}
	}
	if err := json.Unmarshal(r.body, e); err != nil || e.Error == nil && e.Result == nil {
		// A proxy's page: whatever its status, it says nothing about the work, which may have been done.
		return &crm.Error{Class: crm.Transient, Op: op, Code: "HTTP_" + strconv.Itoa(r.status), Ambiguous: true,
			RetryAfter: retryAfter(r.header), Err: fmt.Errorf("status %d without a readable answer", r.status)}
	}
	if e.Error == nil && r.status < 400 {
		return nil
	}
	code := ""
	if e.Error != nil {
		code = string(*e.Error)
	}
	fail := classify(op, r.status, code, string(e.Description))
	fail.RetryAfter = max(fail.RetryAfter, retryAfter(r.header))
	return fail
}

// operatingLimit is the documented example of a method's time budget in ten minutes.
const operatingLimit = 480 * time.Second

// book notes how much of its time budget a method has used.
func (a *Account) book(p *crm.Pressure, method string, t timing) {
	seconds, err := strconv.ParseFloat(string(t.Operating), 64)
	reset, bad := strconv.ParseInt(string(t.ResetAt), 10, 64)
	if err != nil || seconds < 0 || seconds > 1e6 {
		return
	}
	p.Operating[method] = max(p.Operating[method], time.Duration(seconds*float64(time.Second)))
	if bad != nil || reset <= 0 {
		return
	}
	p.OperatingResetAt[method] = time.Unix(reset, 0)
	a.mu.Lock()
	a.resets[method] = time.Unix(reset, 0)
	a.mu.Unlock()
}

// bound says which method is blocked for its operating time, and how long it has to wait: until the reset that its last
// good answer named.
func (a *Account) bound(e *crm.Error, method string) {
	if !strings.EqualFold(e.Code, "OPERATION_TIME_LIMIT") {
		return
	}
	if method != "batch" {
		e.Method = method
	}
	a.mu.Lock()
	reset := a.resets[method]
	a.mu.Unlock()
	e.RetryAfter = min(max(reset.Add(time.Second).Sub(a.c.Now()), leastReset), mostReset)
}

// pressureOf is what a refused request says about the limits.
func pressureOf(e *crm.Error) crm.Pressure {
	return crm.Pressure{Throttled: e.Class == crm.Throttled, RetryAfter: e.RetryAfter, Blocked: e.Blocked}
}

// retryAfter reads the header in seconds. The REST module sends none, a proxy before a self-hosted portal may.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, longBlock)
}
