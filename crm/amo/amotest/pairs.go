package amotest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Lifetimes ("OAuth 2.0").
const (
	codeLife    = 20 * time.Minute
	accessLife  = 24 * time.Hour
	refreshLife = 90 * 24 * time.Hour // three months
)

// code is an authorization code.
type code struct {
	user int64
	at   time.Time
	used bool
}

// pair is an access and a refresh token of one user.
type pair struct {
	user            int64
	access, refresh string
	at              time.Time
	parent          *pair
	spent           bool // the refresh token was exchanged
	used            bool // a token of the pair was used
	dead            bool // the refresh token no longer works
	revoked         bool // neither works
}

// signingKey signs access tokens; the product's own is not published, so clients cannot verify.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func secret() string {
	b := make([]byte, 96)
	_, _ = rand.Read(b)
	return "def502" + hex.EncodeToString(b)
}

func (a *Account) newCode(userID int64) string {
	c := secret()
	a.codes[c] = &code{user: userID, at: a.now()}
	return c
}

func (a *Account) newPair(userID int64, parent *pair) *pair {
	p := &pair{user: userID, refresh: secret(), at: a.now(), parent: parent}
	p.access = a.accessToken(userID, p.at)
	a.pairs = append(a.pairs, p)
	a.byAccess[p.access] = p
	return p
}

// accessToken is a JWT that names the shared API host in api_domain.
func (a *Account) accessToken(userID int64, at time.Time) string {
	v := a.server.config.Variant
	claims := jwt.MapClaims{"aud": a.server.config.ClientID, "jti": uuid.NewString(), "iat": at.Unix(), "nbf": at.Unix(),
		"exp": at.Add(accessLife).Unix(), "sub": fmt.Sprint(userID), "grant_type": "", "account_id": a.ID,
		"base_domain": v.Zone, "version": 2, "scopes": []string{"crm"}, "hash_uuid": uuid.NewString(),
		"api_domain": v.APIHost + a.server.config.PublicSuffix}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(signingKey())
	if err != nil {
		panic(err)
	}
	return token
}

// use marks a pair as used for the first time, which ends the grace of its predecessor and of
// every other pair made from that.
func (a *Account) use(p *pair) {
	if p.used {
		return
	}
	p.used = true
	if p.parent == nil {
		return
	}
	p.parent.dead = true
	for _, other := range a.pairs {
		if other != p && other.parent == p.parent {
			other.dead = true
		}
	}
}

// refresh exchanges a refresh token; the hint is empty on success.
func (a *Account) refresh(token string) (next *pair, hint string) {
	p := a.byRefresh(token)
	switch {
	case p == nil:
		return nil, "Cannot decrypt the refresh token"
	case a.now().After(p.at.Add(refreshLife)):
		return nil, "Token has expired"
	case p.revoked, p.dead, p.spent && a.switches.StrictRefresh:
		return nil, "Token has been revoked"
	}
	a.use(p)
	p.spent = true
	return a.newPair(p.user, p), ""
}

func (a *Account) byRefresh(token string) *pair {
	for _, p := range a.pairs {
		if p.refresh == token && token != "" {
			return p
		}
	}
	return nil
}

// live returns the pair of a usable access token, nil otherwise.
func (a *Account) live(access string) *pair {
	p := a.byAccess[access]
	if p == nil || p.revoked || a.now().After(p.at.Add(accessLife)) {
		return nil
	}
	a.use(p)
	return p
}

// RevokeTokens ends every token and unused code of our integration, without a hook.
func (a *Account) RevokeTokens() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoke()
}

func (a *Account) revoke() {
	for _, p := range a.pairs {
		p.revoked = true
	}
	a.codes = map[string]*code{}
}

// TokenFor returns a fresh access token for REST with the rights of this user.
func (a *Account) TokenFor(userID int64) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newPair(userID, nil).access
}

// Credentials returns a fresh pair of the administrator with everything needed to use it:
// access_token, refresh_token, expires_at (Unix), base_url, base_domain, api_domain,
// account_id, user_id, client_id, client_secret, redirect_uri.
func (a *Account) Credentials() map[string]any {
	c, referer, url := a.server.config, a.Referer(), a.URL()
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.newPair(AdminID, nil)
	return map[string]any{"access_token": p.access, "refresh_token": p.refresh, "expires_at": p.at.Add(accessLife).Unix(),
		"base_url": url, "base_domain": referer, "api_domain": c.Variant.APIHost + c.PublicSuffix, "account_id": a.ID,
		"user_id": p.user, "client_id": c.ClientID, "client_secret": c.ClientSecret, "redirect_uri": c.RedirectURI}
}
