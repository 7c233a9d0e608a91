package egress

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAServerThatATenantNamesIsNeverOurOwn(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	_, port, _ := net.SplitHostPort(server.Addr().String())
	for _, host := range []string{"localhost", "mail.localhost", "LOCALHOST", "127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0"} {
		_, err := Dial(false)(t.Context(), "tcp", net.JoinHostPort(host, port))
		require.ErrorIs(t, err, ErrRefused, host)
	}
	_, err = Dial(true)(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
	require.ErrorIs(t, err, ErrRefused, "an address is not a name under localhost")
	c, err := Dial(true)(t.Context(), "tcp", net.JoinHostPort("mail.localhost", port))
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
