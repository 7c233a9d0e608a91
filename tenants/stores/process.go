package stores

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// account is who the stores run as; nil means whoever we are. PostgreSQL refuses to run as root.
type account struct{ uid, gid uint32 }

func unprivileged() (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &account{uint32(uid), uint32(gid)}, nil
	}
	return nil, errors.New("stores: running as root and neither user postgres nor nobody exists to run PostgreSQL as")
}

// memory is where files are kept in memory on Linux, and enough is the room that the tests' databases may need there.
const (
	memory = "/dev/shm"
	enough = 4 << 30
)

// place chooses where the data goes: in memory if that is asked for, below dir, or at a stable place elsewhere when the
// account cannot walk to dir (root's home is closed to others, and opening it is not ours to do).
func (a *account) place(dir string, inMemory bool) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	name := "dealpay-" + hex.EncodeToString(sum[:6])
	candidates := []string{filepath.Join(dir, "data"), filepath.Join("/var/lib", name), filepath.Join(os.TempDir(), name)}
	var room syscall.Statfs_t
	if inMemory && syscall.Statfs(memory, &room) == nil && room.Bavail*uint64(room.Bsize) >= enough {
		candidates = slices.Insert(candidates, 0, filepath.Join(memory, name))
	}
	for _, candidate := range candidates {
		if !a.reaches(filepath.Dir(candidate)) {
			continue
		}
		if err := os.MkdirAll(candidate, 0o700); err != nil {
			continue
		}
		if a == nil || os.Chown(candidate, int(a.uid), int(a.gid)) == nil {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("stores: no directory that the user of PostgreSQL can reach; tried %s and /var/lib", dir)
}

// reaches says whether the account may walk down to dir.
func (a *account) reaches(dir string) bool {
	if a == nil {
		return true
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		mode := info.Mode().Perm()
		if ok && stat.Uid == a.uid {
			mode >>= 6
		} else if ok && stat.Gid == a.gid {
			mode >>= 3
		}
		if mode&1 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (a *account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for us; we stop the stores in order
	if a != nil {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attributes
}

// child is a process that the kernel ends when we end, however that happens.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program; its output goes to the end of logPath. death is sent to it when this process dies.
func (a *account) start(logPath string, death syscall.Signal, dir, program string, args ...string) (*child, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	c := &child{exec.Command(program, args...), make(chan struct{})}
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, out, out
	c.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"} // ours may hold secrets
	c.cmd.SysProcAttr = a.attributes()
	c.cmd.SysProcAttr.Pdeathsig = death
	started := make(chan error)
	go func() {
		// The signal comes when the starting thread ends, so this thread lives as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait()
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	return c, nil
}

// stop ends the child with the signal, and by force when it does not listen.
func (c *child) stop(with, force syscall.Signal) error {
	if c == nil {
		return nil
	}
	_ = c.cmd.Process.Signal(with) // it may have ended already
	select {
	case <-c.done:
		return nil
	case <-time.After(15 * time.Second):
	}
	_ = c.cmd.Process.Signal(force)
	select {
	case <-c.done:
		return nil
	case <-time.After(5 * time.Second):
		return fmt.Errorf("stores: process %d does not end", c.cmd.Process.Pid)
	}
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// write makes a file that only the account reads.
func (a *account) write(path, content string) error {
	err := os.WriteFile(path, []byte(content), 0o600)
	if err == nil && a != nil {
		err = os.Chown(path, int(a.uid), int(a.gid))
	}
	return err
}

func newPassword() string {
	b := make([]byte, 18)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
