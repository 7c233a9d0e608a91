package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Dial opens connections to servers that tenants name, such as their mail server: public addresses only, so that nobody
// reaches our own network through us. With loopback, names under localhost mean this machine; that is for a deployment on
// a developer's machine. Refusals wrap ErrRefused.
func Dial(loopback bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := dialer{find: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}, net: net.Dialer{Timeout: 5 * time.Second}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if local(strings.ToLower(host)) && !loopback {
			return nil, fmt.Errorf("%w: %s", ErrRefused, host)
		}
		return d.dial(ctx, network, address)
	}
}
