package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
	"postrider/storage/lsm"
)

// box has two messages.
const box = "From a@b Sun Nov 22 20:00:00 2026\nSubject: one\n\nhello\n\n" +
	"From a@b Sun Nov 22 20:00:01 2026\nSubject: two\n\nworld\n\n"

func TestABackupOfARunningServerAndOfAClosedStoreComesBack(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		s.Want(0, "", "import alice --format mbox "+s.File("in.mbox", box), "2 messages")
		data := filepath.Join(s.Dir, "data")
		s.File("data/scram-secret", "a secret")
		to, again := filepath.Join(s.Dir, "backups"), filepath.Join(s.Dir, "again")
		s.Want(sysexits.Usage, "", "backup "+filepath.Join(data, "backups"), "in the data directory")
		s.Want(sysexits.Usage, "", "backup "+to+" --keep -1", "--keep")
		s.Want(0, "", "backup "+to, " copied, ", " linked")
		s.Want(0, "", "backup "+to+" --keep 1 --json", `"removed": 1`)
		s.Want(0, "", "restore "+to+" --dry-run", "have the checksums of the list")
		if s.Server {
			s.Want(sysexits.Unavailable, "", "restore "+to, "stop it first")
			s.Want(sysexits.Unavailable, "", "salvage --out "+again, "stop it first")
		} else {
			s.Want(sysexits.CantCreate, "", "restore "+to, "not empty")
		}
		if left, err := filepath.Glob(filepath.Join(data, "checkpoint-*")); err != nil || len(left) > 1 {
			t.Errorf("left in the data directory: %q, %v", left, err) // the server may be about to remove the last one
		}
		s.Want(sysexits.NoInput, "", "restore "+filepath.Join(s.Dir, "none"))
		s.Want(sysexits.DataErr, "", "restore "+data, "no whole backup")
		if err := os.Mkdir(again, 0o700); err != nil {
			t.Fatal(err)
		}
		lock, err := lsm.Lock(nil, again) // another restore, or a server, has it
		if err != nil {
			t.Fatal(err)
		}
		s.Want(sysexits.Unavailable, "", "restore "+to+" --data "+again, "already open")
		s.File("again/"+lsm.RestoreFlag, "")
		s.Want(sysexits.Unavailable, "", "restore "+to+" --data "+again, "being restored")
		if err := errorsOf(lock.Close(), os.Chmod(filepath.Join(again, lsm.LockFile), 0o600)); err != nil { // it was made with our umask
			t.Fatal(err)
		}
		s.Want(sysexits.DataErr, "", "backup --data "+again+" "+filepath.Join(s.Dir, "halves"), "was cut off")
		s.Want(0, "", "restore "+to+" --data "+again, "files", "postrider check")
		private(t, to)
		private(t, again) // before another command opens it
		s.Want(0, "", "check --data "+again, "1 accounts, 2 messages", ": 0 faults")
		if b, err := os.ReadFile(filepath.Join(again, "scram-secret")); err != nil || string(b) != "a secret" {
			t.Errorf("%q, %v", b, err)
		}
		if found, err := filepath.Glob(filepath.Join(to, "*", "postrider.toml")); err != nil || len(found) != 1 {
			t.Errorf("the configuration: %q, %v", found, err)
		}
		s.Want(0, "", "export alice --data "+again+" --format mbox --out "+filepath.Join(s.Dir, "out"), "2 messages")
	}, BackupCommand, RestoreCommand, SalvageCommand, CheckCommand, ExportCommand, ImportCommand, accounts.AccountCommand)
}

// private: what a command has written can be read by its owner only.
func private(t *testing.T, dir string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		// Linked files have the mode of the store's, in a directory that others can't enter.
		if err == nil && info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(path, ".sst") && !strings.HasSuffix(path, ".blob") {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A damaged table: each command says what happened, to which file, and what to do; check
// lists what is lost; salvage gives files, or a store that goes on.
func TestCommandsOnADamagedStoreSayWhatToDo(t *testing.T) {
	s := shelltest.New(t, BackupCommand, RestoreCommand, SalvageCommand, CheckCommand, ExportCommand, ImportCommand, accounts.AccountCommand)
	s.Want(0, "x\n", "account add alice --password-stdin --create")
	s.Want(0, "", "import alice --format mbox "+s.File("in.mbox", box), "2 messages")
	s.Want(0, "", "account list", "alice") // what the log had is in a table now
	data := filepath.Join(s.Dir, "data")
	to := filepath.Join(s.Dir, "backups")
	s.Want(0, "", "backup "+to)
	tables, err := filepath.Glob(filepath.Join(data, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%q, %v", tables, err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/10] ^= 1
		if err := errorsOf(os.Remove(table), os.WriteFile(table, b, 0o600)); err != nil { // the backup has a link to it
			t.Fatal(err)
		}
	}
	name := filepath.Base(tables[0])
	for _, command := range []string{"account list", "export alice --format mbox --out " + filepath.Join(s.Dir, "out"), "check"} {
		out := s.Want(sysexits.DataErr, "", command, "is damaged", name, "postrider salvage", "postrider restore", "postrider check")
		if strings.Contains(strings.ToLower(out), "pebble") {
			t.Errorf("%s:\n%s", command, out)
		}
	}
	s.Want(sysexits.DataErr, "", "check", "file "+name+": octets ", "would get out: ")
	s.Want(sysexits.DataErr, "", "check --json", `"opens": false`)

	s.Want(sysexits.Usage, "", "salvage", "--out")
	s.Want(sysexits.Usage, "", "salvage --format frob --out x", "--format")
	s.Want(sysexits.CantCreate, "", "salvage --out "+data+"/../in.mbox", "not a directory")
	files := filepath.Join(s.Dir, "files")
	s.Want(sysexits.DataErr, "", "salvage --out "+files, "file "+name, "messages and entries are known to be lost")
	if b, err := os.ReadFile(filepath.Join(files, lossesFile)); err != nil || !strings.Contains(string(b), name) {
		t.Errorf("%q, %v", b, err)
	}
	store := filepath.Join(s.Dir, "store")
	s.File("data/scram-secret", "a secret")
	s.Want(sysexits.DataErr, "", "salvage --format store --out "+store, lossesFile)
	s.Want(0, "", "check --data "+store, ": 0 faults")
	if b, err := os.ReadFile(filepath.Join(store, "scram-secret")); err != nil || string(b) != "a secret" {
		t.Errorf("%q, %v", b, err)
	}
	again := filepath.Join(s.Dir, "again")
	s.Want(0, "", "restore "+to+" --data "+again)
	s.Want(0, "", "check --data "+again, "1 accounts, 2 messages", ": 0 faults")
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
