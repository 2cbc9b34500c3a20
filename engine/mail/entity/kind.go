package entity

import "mime"

// extensions has the usual extension for a type, for files without a name. The system's
// table has several for most types, in alphabetical order: .jfif, .f4v.
var extensions = map[string]string{
	"text/plain": ".txt", "text/html": ".html", "text/csv": ".csv", "text/calendar": ".ics", "text/vcard": ".vcf", "text/x-vcard": ".vcf",
	"text/markdown": ".md", "text/css": ".css", "text/javascript": ".js", "text/xml": ".xml", "text/rtf": ".rtf", "text/rfc822-headers": ".txt",
	"text/x-amp-html": ".html", "text/enriched": ".txt",
	"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/pjpeg": ".jpg", "image/png": ".png", "image/x-png": ".png", "image/gif": ".gif",
	"image/webp": ".webp", "image/avif": ".avif", "image/heic": ".heic", "image/tiff": ".tif", "image/bmp": ".bmp", "image/x-ms-bmp": ".bmp", "image/svg+xml": ".svg",
	"audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/ogg": ".ogg", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/amr": ".amr",
	"video/mp4": ".mp4", "video/mpeg": ".mpg", "video/quicktime": ".mov", "video/webm": ".webm", "video/x-msvideo": ".avi", "video/3gpp": ".3gp",
	"application/pdf": ".pdf", "application/zip": ".zip", "application/x-zip-compressed": ".zip", "application/gzip": ".gz", "application/x-gzip": ".gz",
	"application/x-tar": ".tar", "application/json": ".json", "application/xml": ".xml", "application/rtf": ".rtf", "application/ics": ".ics",
	"application/postscript": ".ps", "application/msword": ".doc", "application/vnd.ms-excel": ".xls", "application/vnd.ms-powerpoint": ".ppt",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   ".docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         ".xlsx",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
	"application/vnd.oasis.opendocument.text":                                   ".odt",
	"application/vnd.oasis.opendocument.spreadsheet":                            ".ods",
	"application/pkcs7-signature":                                               ".p7s", "application/x-pkcs7-signature": ".p7s", "application/pkcs7-mime": ".p7m",
	"application/x-pkcs7-mime": ".p7m", "application/pgp-signature": ".asc", "application/pgp-keys": ".asc", "application/pgp-encrypted": ".asc",
	"application/ms-tnef": ".dat", "application/octet-stream": "", "message/rfc822": ".eml", "message/delivery-status": ".txt",
}

// extensionOf is the extension of a file of this type; "": none is known.
func extensionOf(kind string) string {
	if extension, known := extensions[kind]; known {
		return extension
	}
	if found, err := mime.ExtensionsByType(kind); err == nil && len(found) > 0 {
		return found[0]
	}
	return ""
}
