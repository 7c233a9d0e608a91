package amotest

import (
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const oneTimeLife = 30 * time.Minute

// OneTimeToken mints what a page of the account sends in X-Auth-Token when this user acts: a
// JWT signed with the client secret by HS256 ("One-time tokens"). aud is the scheme and host,
// without port, of the redirect URI, as the vendor's SDK builds it.
func (a *Account) OneTimeToken(userID int64) string {
	audience := ""
	if u, err := url.Parse(a.server.config.RedirectURI); err == nil {
		audience = u.Scheme + "://" + u.Hostname()
	}
	issuer := a.URL()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	claims := jwt.MapClaims{"iss": issuer, "aud": audience, "jti": uuid.NewString(), "iat": now.Unix(), "nbf": now.Unix(),
		"exp": now.Add(oneTimeLife).Unix(), "account_id": a.ID, "user_id": userID, "subdomain": a.sub,
		"client_uuid": a.server.config.ClientID}
	if u := a.user(userID); u != nil && a.switches.AdminClaim {
		claims["is_admin"] = u.admin
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(a.server.config.ClientSecret))
	if err != nil {
		panic(err)
	}
	return token
}
