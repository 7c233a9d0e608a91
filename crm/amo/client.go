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

// once sends one request under the pacer's eyes.
func (a *Account) once(ctx context.Context, c call, token string, out any) error {
	if err := a.cfg.Pacer.Wait(ctx, c.op()); err != nil {
		return asError(c.op(), err)
	}
	got, err := a.send(ctx, c, token)
	if err != nil {
		a.cfg.Pacer.Seen(ctx, crm.Pressure{})
		return err
	}
	failure := classify(c.op(), c.writes(), got, a.cfg.Now())
	a.cfg.Pacer.Seen(ctx, pressure(failure))
	if failure != nil {
		return failure
	}
	if out == nil || len(bytes.TrimSpace(got.body)) == 0 {
		return nil
	}
	if err := unmarshal(got.body, out); err != nil {
		return &crm.Error{Class: crm.Transient, Op: c.op(), Code: "unreadable", Ambiguous: c.writes(), Err: err}
	}
	return nil
}

// send does the HTTP. What fails before the request was on its way is not ambiguous.
func (a *Account) send(ctx context.Context, c call, token string) (answer, error) {
	sent := atomic.Bool{}
	failed := func(err error) (answer, error) {
		return answer{}, &crm.Error{Class: crm.Transient, Op: c.op(), Code: "network", Ambiguous: c.writes() && sent.Load(), Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := a.request(ctx, c, token)
	if err != nil {
		return failed(err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return failed(err)
	}
	if len(body) > maxAnswer {
		return failed(errors.New("the answer is too long"))
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
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
