package lsm

import (
	"encoding/binary"
	"hash/crc32"

	"postrider/storage"
)

// The first octet of a key: the kind of row. doc.go has the layout.
const (
	tagAddress  = 'A'
	tagBody     = 'B'
	tagCount    = 'C'
	tagDomain   = 'D'
	tagUIDL     = 'I'
	tagLogin    = 'L'
	tagMaildrop = 'M'
	tagDraft    = 'P'
	tagRefs     = 'R'
	tagAccount  = 'U'
	tagMeta     = 'X'
	tagDoomed   = 'Z'
)

// The rows under tagMeta.
var (
	keyFormat      = []byte("Xformat")
	keyIDBound     = []byte("Xids")
	keyStampBound  = []byte("Xstamps")
	keyNextAccount = []byte("Xaccount")
)

// castagnoli is the polynomial of every checksum here: it has an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The lengths of the keys of fixed length.
const (
	bodyKeyLen     = 1 + 8 + 4
	maildropKeyLen = 1 + 4 + 8
	idKeyLen       = 1 + 8
	accountKeyLen  = 1 + 4
)

func putBodyKey(k *[bodyKeyLen]byte, id storage.MessageID, chunk uint32) []byte {
	k[0] = tagBody
	binary.BigEndian.PutUint64(k[1:], uint64(id))
	binary.BigEndian.PutUint32(k[9:], chunk)
	return k[:]
}

func putMaildropKey(k *[maildropKeyLen]byte, account storage.AccountID, id storage.MessageID) []byte {
	k[0] = tagMaildrop
	binary.BigEndian.PutUint32(k[1:], uint32(account))
	binary.BigEndian.PutUint64(k[5:], uint64(id))
	return k[:]
}

func putIDKey(k *[idKeyLen]byte, tag byte, id storage.MessageID) []byte {
	k[0] = tag
	binary.BigEndian.PutUint64(k[1:], uint64(id))
	return k[:]
}

func putAccountKey(k *[accountKeyLen]byte, tag byte, account storage.AccountID) []byte {
	k[0] = tag
	binary.BigEndian.PutUint32(k[1:], uint32(account))
	return k[:]
}

// idOfKey reads the id of a key that putIDKey or putBodyKey made.
func idOfKey(k []byte) storage.MessageID {
	return storage.MessageID(binary.BigEndian.Uint64(k[1:]))
}

// accountOfKey reads the account of a key that putAccountKey, putMaildropKey or uidlKey
// made.
func accountOfKey(k []byte) storage.AccountID {
	return storage.AccountID(binary.BigEndian.Uint32(k[1:]))
}

// idOfMaildropKey reads the id of a key that putMaildropKey made.
func idOfMaildropKey(k []byte) storage.MessageID {
	return storage.MessageID(binary.BigEndian.Uint64(k[5:]))
}

func domainKey(domain string) []byte { return append([]byte{tagDomain}, domain...) }

// addressKey puts a NUL between domain and name, so that rows sort by domain,
// then by name; neither may hold one.
func addressKey(local, domain string) []byte {
	k := make([]byte, 0, 2+len(domain)+len(local))
	k = append(k, tagAddress)
	k = append(k, domain...)
	k = append(k, 0)
	return append(k, local...)
}
