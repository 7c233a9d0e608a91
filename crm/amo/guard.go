package amo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dealpay/dealpay/crm"
)

const (
	// TokenHeader carries the one-time token that the CRM's page adds to a request of our widget.
	TokenHeader = "X-Auth-Token"

	leeway  = time.Minute
	maxBody = 64 << 10
)

// Guard believes a request of our widget by its one-time token (Kommo "One-time tokens"): a JWT that the CRM signs
// with our client secret. The token proves the account and the user, not that the user may see a deal.
type Guard struct {
	Variant  Variant
	ClientID string
	// Secrets are the client secrets that are valid now, the newest first; two of them during a rotation.
	Secrets []string
	// Audience is the origin of our redirect URI, "https://pay.example.com"; a port does not count.
	Audience string
	// AllowHost decides whether a host (with its port, if any) is an account's; nil means Variant.Owns.
	AllowHost func(host string) bool
	Now       func() time.Time
	// Replay remembers a token until it expires and says whether it is new; used when Strict.
	Replay func(ctx context.Context, jti string, until time.Time) (fresh bool, err error)
	// Strict refuses a token that was seen before. The documentation calls tokens one-time without saying that
	// every request gets a new one, so that this can be switched.
	Strict bool
}

var _ crm.Guard = Guard{}

// claims are those of a one-time token. The account and user ids may be strings.
type claims struct {
	jwt.RegisteredClaims
	Account    scalar `json:"account_id"`
	User       scalar `json:"user_id"`
	ClientUUID string `json:"client_uuid"`
	Admin      bool   `json:"is_admin"` // not sent by every account: false means unknown
}

// Visit checks the token and reads which deal the page is about from the JSON body {"deal_id": "1"}. The body can be
// read again afterwards. It returns crm.ErrForged, wrapped with the reason; an error of Replay is returned as it is.
func (g Guard) Visit(ctx context.Context, r crm.Opening) (crm.Visitor, error) {
	c, err := g.parse(r.Header.Get(TokenHeader))
	if err != nil {
		return crm.Visitor{}, forged(err)
	}
	host, err := g.issuer(c.Issuer, r.Header.Get("Origin"))
	if err != nil {
		return crm.Visitor{}, forged(err)
	}
	deal, err := dealID(r)
	if err != nil {
		return crm.Visitor{}, forged(err)
	}
	if g.Strict {
		fresh, err := g.Replay(ctx, c.ID, c.ExpiresAt.Add(leeway))
		if err != nil {
			return crm.Visitor{}, fmt.Errorf("remember a one-time token: %w", err)
		}
		if !fresh {
			return crm.Visitor{}, forged(errors.New("token used before"))
		}
	}
	return crm.Visitor{System: g.Variant.System, AccountKey: string(c.Account), Domain: host, UserID: string(c.User),
		Admin: c.Admin, DealID: deal}, nil
}

func forged(reason error) error { return fmt.Errorf("%w: %w", crm.ErrForged, reason) }

// parse verifies signature, times, audience and client of a token.
func (g Guard) parse(token string) (claims, error) {
	var c claims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(g.now)).ParseWithClaims(token, &c, g.keys)
	switch {
	case err != nil:
		return claims{}, err
	case c.ClientUUID != g.ClientID || g.ClientID == "":
		return claims{}, errors.New("another client's token")
	case !g.heard(c.Audience):
		return claims{}, errors.New("another audience")
	case !isID(string(c.Account)) || !isID(string(c.User)) || c.ID == "" || c.IssuedAt == nil:
		return claims{}, errors.New("claims are missing")
	}
	return c, nil
}

func (g Guard) now() time.Time {
	if g.Now == nil {
		return time.Now()
	}
	return g.Now()
}

// keys offers every active secret. An empty one would let anybody sign.
func (g Guard) keys(*jwt.Token) (any, error) {
	var set jwt.VerificationKeySet
	for _, s := range g.Secrets {
		if s != "" {
			set.Keys = append(set.Keys, []byte(s))
		}
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("no client secret")
	}
	return set, nil
}

func (g Guard) heard(audience []string) bool {
	ours := portless(g.Audience)
	for _, a := range audience {
		if ours != "" && portless(a) == ours {
			return true
		}
	}
	return false
}

// portless is the scheme and host of a URL: the vendor's own client builds the audience without the port.
func portless(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname())
}

// issuer returns the account's host, if it is one we deal with and the page that asks is on it.
func (g Guard) issuer(iss, pageOrigin string) (string, error) {
	u, err := url.Parse(iss)
	if err != nil {
		return "", errors.New("issuer is no URL")
	}
	host := strings.ToLower(u.Host)
	allowed := g.AllowHost
	if allowed == nil {
		allowed = g.Variant.Owns
	}
	if !allowed(host) || !strings.EqualFold(strings.TrimSuffix(iss, "/"), origin(host)) {
		return "", errors.New("issuer is not on the allow-list")
	}
	if pageOrigin != "" && portless(pageOrigin) != portless(iss) {
		return "", errors.New("asked from another page")
	}
	return host, nil
}

// dealID reads the body and puts it back.
func dealID(r *http.Request) (string, error) {
	if r.Body == nil {
		return "", nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	if len(body) > maxBody {
		return "", errors.New("body is too long")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return "", nil
	}
	var in struct {
		Deal scalar `json:"deal_id"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", errors.New("body is no JSON object")
	}
	if in.Deal != "" && !isID(string(in.Deal)) {
		return "", errors.New("no deal id")
	}
	return string(in.Deal), nil
}

// VerifyDisable checks the signature of the hook that the CRM calls when our integration is switched off (Kommo
// "OAuth 2.0", access revoked notification) and returns the account. Nothing in the hook is bound to a time, so it
// can be replayed: it is a reason to look, not a proof. secrets are all that are valid now. Errors wrap
// crm.ErrForged.
func VerifyDisable(query url.Values, clientID string, secrets ...string) (accountID string, err error) {
	accountID = query.Get("account_id")
	if clientID == "" || query.Get("client_uuid") != clientID {
		return "", forged(errors.New("another client"))
	}
	signature, err := hex.DecodeString(query.Get("signature"))
	if err != nil || !isID(accountID) {
		return "", forged(errors.New("no signature or account"))
	}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(clientID + "|" + accountID))
		if secret != "" && hmac.Equal(mac.Sum(nil), signature) {
			return accountID, nil
		}
	}
	return "", forged(errors.New("signature does not match"))
}
