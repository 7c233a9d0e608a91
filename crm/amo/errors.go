package amo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// classes says what an answer's status means for the work (Kommo "HTTP status codes"; amocrm.ru "Errors").
// Statuses that are not listed: 3xx and 5xx are Transient, other 4xx Refused.
var classes = map[int]crm.Class{
	http.StatusBadRequest:          crm.Refused, // Revoked with error code 244, see classify
	http.StatusUnauthorized:        crm.Revoked, // after one refresh
	http.StatusPaymentRequired:     crm.Revoked, // the account is not paid for
	http.StatusForbidden:           crm.Refused, // Throttled as HTML: shut out after too many 429
	http.StatusNotFound:            crm.Gone,    // Transient as HTML: no account at this host
	http.StatusRequestTimeout:      crm.Transient,
	http.StatusUnprocessableEntity: crm.Refused,
	http.StatusTooManyRequests:     crm.Throttled,
}

// noAccount is the code when no account answers at the host: renamed, moved or closed.
const noAccount = "no_account"

const longestWait = 24 * time.Hour

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// html tells the gateway's own pages from the API's answers, which are always JSON.
func (r answer) html() bool {
	return strings.Contains(r.header.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("<"))
}

// problem is an application/problem+json answer.
type problem struct {
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	Hint       string `json:"hint"`
	RetryAfter scalar `json:"retry_after"`
	Validation []struct {
		RequestID scalar    `json:"request_id"`
		Errors    []failing `json:"errors"`
	} `json:"validation-errors"`
	// Errors names entities by id in another form of 400: {"errors": {"11062353": "…"}}.
	Errors json.RawMessage `json:"errors"`

	status  int
	request string // X-Request-Id, for the CRM's support
}

type failing struct {
	Code, Path, Detail string
}

func (p *problem) Error() string {
	text := fmt.Sprintf("answer %d %s %s", p.status, p.Title, p.Detail)
	for _, v := range p.Validation {
		for _, e := range v.Errors {
			text += fmt.Sprintf("; %s at %s", e.Code, e.Path)
		}
	}
	if p.request != "" {
		text += " (request " + p.request + ")"
	}
	return text[:min(len(text), 500)]
}

// named says whether the answer blames the element with this request id or entity id.
func (p *problem) named(requestID, entity string) bool {
	for _, v := range p.Validation {
		if string(v.RequestID) == requestID && requestID != "" {
			return true
		}
	}
	var byID map[string]json.RawMessage
	_ = json.Unmarshal(p.Errors, &byID)
	_, ok := byID[entity]
	return ok
}

// lostField says whether one of our fields or its options is no longer there.
func (p *problem) lostField() bool {
	for _, v := range p.Validation {
		for _, e := range v.Errors {
			if e.Code == "NotSupportedChoice" && strings.HasPrefix(e.Path, "custom_fields_values") {
				return true
			}
		}
	}
	return false
}

// classify reads an answer; nil means that it is a success.
func classify(op string, write bool, r answer, now time.Time) *crm.Error {
	if r.status < 300 {
		return nil
	}
	p := &problem{}
	if !r.html() {
		_ = unmarshal(r.body, p) // an unreadable problem is still a problem of this status
	}
	p.status, p.request = r.status, r.header.Get("X-Request-Id")
	class, listed := classes[r.status]
	if !listed && r.status >= 400 && r.status < 500 {
		class = crm.Refused
	}
	e := &crm.Error{Class: class, Op: op, Code: strconv.Itoa(r.status), Err: p}
	switch {
	case r.status == http.StatusBadRequest && strings.Contains(p.Detail, "244"):
		e.Class, e.Code = crm.Revoked, "244" // "Код ошибки 244": not paid for, or the right to write was taken away
	case r.status == http.StatusForbidden && r.html():
		e.Class, e.Code, e.RetryAfter, e.Blocked = crm.Throttled, "blocked", retryAfter(p, r.header, now), true
	case r.status == http.StatusNotFound && r.html():
		e.Class, e.Code = crm.Transient, noAccount // renamed or moved: not a word about the deal
	case r.status == http.StatusTooManyRequests:
		e.RetryAfter = retryAfter(p, r.header, now)
	case r.status >= 500:
		e.Ambiguous = write
	}
	return e
}

// retryAfter is how long the CRM asked us to wait: Kommo says it in the body, a gateway in the header.
func retryAfter(p *problem, h http.Header, now time.Time) time.Duration {
	wait := time.Duration(0)
	for _, raw := range []string{string(p.RetryAfter), h.Get("Retry-After")} {
		if seconds, err := strconv.ParseInt(raw, 10, 32); err == nil {
			wait = max(wait, time.Duration(seconds)*time.Second)
		} else if at, err := http.ParseTime(raw); err == nil {
			wait = max(wait, at.Sub(now))
		}
	}
	return min(wait, longestWait)
}

func pressure(e *crm.Error) crm.Pressure {
	if e == nil || e.Class != crm.Throttled {
		return crm.Pressure{}
	}
	return crm.Pressure{Throttled: !e.Blocked, Blocked: e.Blocked, RetryAfter: e.RetryAfter}
}

// asError makes a *crm.Error of what came from the caller's side (tokens, pacer).
func asError(op string, err error) error {
	var e *crm.Error
	if errors.As(err, &e) {
		return err
	}
	return &crm.Error{Class: crm.Transient, Op: op, Code: "caller", Err: err}
}

// refusal is a permanent failure found before anything was sent.
func refusal(op, code string) error {
	return &crm.Error{Class: crm.Refused, Op: op, Code: code, Err: errors.New("not sent")}
}

func gone(op string) error {
	return &crm.Error{Class: crm.Gone, Op: op, Code: "not_found", Err: errors.New("not there any more")}
}

func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return &problem{}
}
