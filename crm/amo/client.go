package amo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dealpay/dealpay/crm"
)

const (
	callTimeout = 20 * time.Second // as the vendor's own client has it
	maxAnswer   = 16 << 20
	pageSize    = 250 // Kommo "Limitations"
	maxPages    = 40
)

// call is one request to the REST API.
type call struct {
	method, path string // path below /api/v4
	query        url.Values
	body         any
	asUser       string // X-Context-User-ID: run with the rights of this user (Kommo "OAuth 2.0")
}

var digits = regexp.MustCompile(`/[0-9]+`)

// op names the call for limiters and logs, without ids.
func (c call) op() string { return c.method + " " + digits.ReplaceAllString(c.path, "/{id}") }

func (c call) writes() bool { return c.method != http.MethodGet }

// do carries out c and reads the answer into out, which stays untouched by an empty answer (204). A refused token
// is refreshed once.
func (a *Account) do(ctx context.Context, c call, out any) error {
	token, err := a.cfg.Tokens.Token(ctx)
	if err != nil {
		return asError(c.op(), err)
	}
	err = a.once(ctx, c, token, out)
	if problemOf(err).status != http.StatusUnauthorized {
		return err
	}
	token, refreshErr := a.cfg.Tokens.Refresh(ctx, token)
	if refreshErr != nil {
		return asError(c.op(), refreshErr)
	}
	err = a.once(ctx, c, token, out)
	if c.asUser != "" && problemOf(err).status == http.StatusUnauthorized {
		return &crm.Error{Class: crm.Refused, Op: c.op(), Code: "user", Err: err} // the user is refused, not we
	}
	return err
}

// once sends c with this token.
func (a *Account) once(ctx context.Context, c call, token string, out any) error {
	req, err := a.request(ctx, c, token)
	if err != nil {
		return &crm.Error{Class: crm.Refused, Op: c.op(), Code: "request", Err: err}
	}
	return a.exchange(req, c.op(), c.writes(), out)
}

// exchange sends one request under the pacer's eyes and reads the answer into out.
func (a *Account) exchange(req *http.Request, op string, write bool, out any) error {
	ctx := req.Context()
	if err := a.cfg.Pacer.Wait(ctx, op); err != nil {
		return asError(op, err)
	}
	got, sent, err := a.send(req, op)
	if err != nil {
		a.cfg.Pacer.Seen(ctx, crm.Pressure{})
		return &crm.Error{Class: crm.Transient, Op: op, Code: "network", Ambiguous: write && sent, Err: err}
	}
	failure := classify(op, write, got, a.cfg.Now())
	a.cfg.Pacer.Seen(ctx, pressure(failure))
	if failure != nil {
		return failure
	}
	if out == nil || len(bytes.TrimSpace(got.body)) == 0 {
		return nil
	}
	if err := unmarshal(got.body, out); err != nil {
		return &crm.Error{Class: crm.Transient, Op: op, Code: "unreadable", Ambiguous: write, Err: err}
	}
	return nil
}

// send does the HTTP. sent says that the request was on its way, so that it may have been carried out. net/http repeats a
// read whose kept connection broke: the CRM counts that one, too, and so does the pacer.
func (a *Account) send(req *http.Request, op string) (got answer, sent bool, err error) {
	var left atomic.Bool
	ctx, cancel := context.WithTimeout(req.Context(), callTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { left.Store(true) }, GotConn: func(httptrace.GotConnInfo) {
		if left.Load() && a.cfg.Pacer.Wait(ctx, op) != nil {
			cancel() // there is no room for it
		}
	}})
	resp, err := a.http.Do(req.WithContext(ctx))
	if err != nil {
		return answer{}, left.Load(), err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("the answer is too long")
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}, true, err
}

func (a *Account) request(ctx context.Context, c call, token string) (*http.Request, error) {
	var payload io.Reader
	if c.body != nil {
		raw, err := json.Marshal(c.body)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	target := origin(a.cfg.Domain) + "/api/v4" + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "Dealpay/1.0")
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.asUser != "" {
		req.Header.Set("X-Context-User-ID", c.asUser)
	}
	return req, nil
}

// all reads every page of a list (at most maxPages); key is the list's name under _embedded.
func all[T any](ctx context.Context, a *Account, path, key string, query url.Values) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", strconv.Itoa(pageSize))
	var got []T
	for page := 1; page <= maxPages; page++ {
		query.Set("page", strconv.Itoa(page))
		var l list[T]
		if err := a.do(ctx, call{method: http.MethodGet, path: path, query: query}, &l); err != nil {
			return nil, err
		}
		got = append(got, l.Embedded[key]...)
		if l.Links.Next.Href == "" || len(l.Embedded[key]) == 0 {
			break
		}
	}
	return got, nil
}
