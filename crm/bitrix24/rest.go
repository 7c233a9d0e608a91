package bitrix24

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
	"strings"
	"sync/atomic"

	"github.com/dealpay/dealpay/crm"
)

const (
	batchSize = 50       // commands of one request (vendor documentation "batch")
	listSize  = 50       // rows of one page of a list (vendor documentation "Features of list methods")
	maxBody   = 32 << 20 // of an answer
	userAgent = "Dealpay/1.0"
)

// command is one method call within a batch.
type command struct {
	method string
	params params
}

// answer is what became of one command. next is the offset of a list's next page, 0 when there is none.
type answer struct {
	result json.RawMessage
	next   int
	err    *crm.Error
}

// one runs a single command.
func (a *Account) one(ctx context.Context, c command) (json.RawMessage, error) {
	got, fail := a.run(ctx, []command{c})
	if fail == nil {
		fail = got[0].err
	}
	if fail != nil {
		return nil, fail
	}
	return got[0].result, nil
}

// all runs commands of which none may fail, unless it is dispensable.
func (a *Account) all(ctx context.Context, cmds []command) ([]answer, error) {
	var got []answer
	for len(cmds) > 0 {
		n := min(batchSize, len(cmds))
		part, fail := a.run(ctx, cmds[:n])
		if fail != nil {
			return nil, fail
		}
		for i, p := range part {
			if p.err != nil && !dispensable(cmds[i], p.err) {
				return nil, p.err
			}
		}
		got, cmds = append(got, part...), cmds[n:]
	}
	return got, nil
}

// dispensable says that the account is as it can be although a command was refused: a repeated bind of the same pair
// is what was wanted, an old self-hosted portal may not know an event, and a tariff or the granted scope may lack
// automation.
func dispensable(c command, refused *crm.Error) bool {
	return strings.Contains(strings.ToLower(refused.Error()), "already binded") || refused.Code == "ERROR_EVENT_NOT_FOUND" ||
		strings.HasPrefix(c.method, "bizproc.") && refused.Class == crm.Refused
}

// run sends at most batchSize commands as one request and answers one by one, in order. A token that the portal
// refuses is renewed once. An error is the whole request's.
func (a *Account) run(ctx context.Context, cmds []command) ([]answer, *crm.Error) {
	token, err := a.c.Tokens.Token(ctx)
	if err != nil {
		return nil, wrap("token", err)
	}
	got, fail := a.send(ctx, token, cmds)
	if fail == nil || !stale(fail) {
		return got, fail
	}
	if token, err = a.c.Tokens.Refresh(ctx, token); err != nil {
		return nil, wrap("refresh", err)
	}
	return a.send(ctx, token, cmds)
}

// send is one request and, when the portal has moved, a second one to its new address.
func (a *Account) send(ctx context.Context, token string, cmds []command) ([]answer, *crm.Error) {
	methods := methodsOf(cmds)
	body := batchBody(token, cmds)
	for moved := false; ; moved = true {
		if err := a.c.Pacer.Wait(ctx, methods...); err != nil {
			return nil, unsent(wrap("batch", err))
		}
		r, fail := post(ctx, a.c.HTTP, a.base()+"batch", body)
		var got []answer
		var p crm.Pressure
		if fail == nil {
			got, p, fail = a.read(r, cmds)
		}
		a.c.Pacer.Seen(ctx, p)
		if r.status != http.StatusFound || moved {
			return got, fail
		}
		if err := a.follow(ctx, r.header.Get("Location")); err != nil {
			return nil, wrap("batch", err)
		}
	}
}

// methodsOf names what the limits count: the batch itself and each method in it, once.
func methodsOf(cmds []command) []string {
	names, seen := []string{"batch"}, map[string]bool{}
	for _, c := range cmds {
		if !seen[c.method] {
			seen[c.method] = true
			names = append(names, c.method)
		}
	}
	return names
}

// batchBody writes the request. Go sorts the keys of a map, so key's fixed width keeps the commands in order.
func batchBody(token string, cmds []command) any {
	list := make(map[string]string, len(cmds))
	for i, c := range cmds {
		list[key(i)] = c.method + "?" + c.params.encode()
	}
	return map[string]any{"halt": 0, "cmd": list, "auth": token}
}

func key(i int) string { return fmt.Sprintf("c%02d", i) }

func (a *Account) base() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.endpoint
}

// follow takes the portal's new address (vendor documentation "Peculiarities of REST calls when a Bitrix24
// address changes"), if Moved agrees to it.
func (a *Account) follow(ctx context.Context, location string) error {
	refuse := func(err error) error {
		return &crm.Error{Class: crm.Transient, Op: "batch", Code: "PORTAL_MOVED", Err: err}
	}
	to, err := url.Parse(location)
	if err != nil || to.Host == "" {
		return refuse(errors.New("the portal moved to an address that cannot be read"))
	}
	endpoint := to.Scheme + "://" + to.Host + "/rest/"
	if !plainHTTPAllowed(to) || a.c.Moved == nil {
		return refuse(errors.New("the portal moved to an address that is not accepted"))
	}
	if err := a.c.Moved(ctx, endpoint); err != nil {
		return refuse(fmt.Errorf("the portal moved: %w", err))
	}
	a.mu.Lock()
	a.endpoint = endpoint
	a.mu.Unlock()
	return nil
}

// plainHTTPAllowed reports whether u uses https, or http under .localhost, which never leaves the machine.
func plainHTTPAllowed(u *url.URL) bool {
	local := strings.HasSuffix(u.Hostname(), ".localhost")
	return u.User == nil && (u.Scheme == "https" && !local || u.Scheme == "http" && local)
}

// reply is an HTTP answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// post sends v as JSON. Its error is Transient, and Ambiguous once anything of the request went out.
func post(ctx context.Context, client *http.Client, to string, v any) (reply, *crm.Error) {
	var sent atomic.Bool
	fail := func(err error) *crm.Error {
		var u *url.Error
		if errors.As(err, &u) { // its text repeats the address
			err = u.Err
		}
		return &crm.Error{Class: crm.Transient, Op: "batch", Ambiguous: sent.Load(), Err: err}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return reply{}, fail(err)
	}
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, to, bytes.NewReader(raw))
	if err != nil {
		return reply{}, fail(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, fail(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = errors.New("answer is too large")
	}
	if err != nil {
		return reply{}, fail(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: body}, nil
}
