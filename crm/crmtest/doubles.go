package crmtest

import (
	"context"
	"sync"

	"github.com/dealpay/dealpay/crm"
)

// Tokens is a crm.Tokens in memory.
type Tokens struct {
	// Renew asks the stand-in for a newer token; its error must be an *crm.Error.
	Renew func() (string, error)

	mu        sync.Mutex
	token     string
	refreshes int
}

// NewTokens hands out token until the adapter asks for a newer one.
func NewTokens(token string, renew func() (string, error)) *Tokens {
	return &Tokens{Renew: renew, token: token}
}

// Token returns the current token.
func (t *Tokens) Token(context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, nil
}

// Refresh renews the token, unless somebody was faster.
func (t *Tokens) Refresh(_ context.Context, refused string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != refused {
		return t.token, nil
	}
	t.refreshes++
	token, err := t.Renew()
	if err != nil {
		return "", err
	}
	t.token = token
	return token, nil
}

// Refreshes counts how often a newer token was asked for.
func (t *Tokens) Refreshes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refreshes
}

// Pacer lets everything pass and remembers it.
type Pacer struct {
	mu      sync.Mutex
	refuse  error
	methods [][]string
	seen    []crm.Pressure
}

// Refuse makes Wait answer err.
func (p *Pacer) Refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = err
}

// Wait remembers one request.
func (p *Pacer) Wait(_ context.Context, methods ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return p.refuse
	}
	p.methods = append(p.methods, methods)
	return nil
}

// Seen remembers what the CRM said.
func (p *Pacer) Seen(_ context.Context, said crm.Pressure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, said)
}

// Waits lists the methods of every request let through.
func (p *Pacer) Waits() [][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([][]string{}, p.methods...)
}

// Told lists what Seen was told.
func (p *Pacer) Told() []crm.Pressure {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]crm.Pressure{}, p.seen...)
}
